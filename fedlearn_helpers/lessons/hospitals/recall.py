"""The recall questions of notebook 11."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "Hospitals round their values to steps and send sums of whole numbers. What does the federated mean have "
            "to do with that of pooled data?",
            (
                Option(
                    "It is near it: every hospital's rounding error adds up.",
                    "Each value is rounded once, pooled or not. Sums of whole numbers add no error of their own.",
                ),
                Option(
                    "It is the same number, to the last bit, as long as the same rounded values are pooled.",
                    "Whole numbers add up to the same in any order and any grouping. Floats do not.",
                    right=True,
                ),
                Option(
                    "It is the same if all hospitals have as many rows.",
                    "Counts are sent beside the sums, so sizes do not matter. The mean of means would need that.",
                ),
            ),
        ),
        Question(
            "A server may ask only for counts, such as how many patients of all hospitals are at most t years old, "
            "for any t. It asks often. What can it learn?",
            (
                Option(
                    "Nothing about a single patient: a count is about all.",
                    "Two counts differ by the rows between them. Where that is one row, it is about one patient.",
                ),
                Option(
                    "The shape of the distribution, and no single value.",
                    "The shape is made of values. Between 98 and 99 there may be one patient.",
                ),
                Option(
                    "The age of the oldest patient, exactly.",
                    "The smallest t that counts all is the maximum. So small counts are suppressed, and questions "
                    "limited.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Missing values were filled in with means of all rows, and only then was the data split. The test "
            "accuracy is as before. Was it a mistake?",
            (
                Option(
                    "Yes, although no accuracy shows it: test rows have decided about training inputs.",
                    "Here it moves little. Filled in by class the same mistake tells labels. Test it by changing a "
                    "test row.",
                    right=True,
                ),
                Option(
                    "No: a mistake that matters would show in the accuracy.",
                    "That accuracy was measured on the rows in question. It cannot say what it would be without them.",
                ),
                Option(
                    "No: the means of so many rows tell nothing about one of them.",
                    "How much it tells is a matter of size. That test rows decide nothing is what makes them a test.",
                ),
            ),
        ),
        Question(
            "The AUC over all test rows of four hospitals is 0.87. Each hospital's own AUC is lower on average: 0.82. "
            "How can that be?",
            (
                Option(
                    "One of the two is computed wrongly.",
                    "Both are right, and answer other questions: one compares patients of different hospitals, too.",
                ),
                Option(
                    "More rows give a higher AUC.",
                    "More rows give a surer one. An AUC has no reason to grow with them.",
                ),
                Option(
                    "Hospitals differ in how many are ill, and a model that knows the hospital ranks by that.",
                    "It earns pairs of patients from two hospitals. No doctor has to choose between those two.",
                    right=True,
                ),
            ),
        ),
        Question(
            "A hospital has 36 test patients, of whom 2 are healthy. Its AUC is 0.91. What do you report?",
            (
                Option(
                    "0.91: the rows are what they are.",
                    "Half of it hangs on one healthy patient. With another split the number may be 0.6.",
                ),
                Option(
                    "0.91 with its interval, which reaches from about 0.5 to 1: these rows cannot say.",
                    "Each healthy patient stands for half of all pairs. With so few, the interval is the result.",
                    right=True,
                ),
                Option(
                    "The accuracy instead: it uses all 36 rows.",
                    "To call all of them ill is right for 34 of 36. Such an accuracy says nothing about the healthy.",
                ),
            ),
        ),
        Question(
            "A shared model ranks a hospital's patients as well as its own model does. Its probabilities there are "
            "far too low. What mends that at the least cost?",
            (
                Option(
                    "One number for that hospital: an intercept fitted on its training rows.",
                    "The order of its patients stays, so its AUC does. Their level, and with it decisions at 0.5, is "
                    "right.",
                    right=True,
                ),
                Option(
                    "More rounds of training, with all hospitals.",
                    "The shared model has one level for all. It is a compromise at the end of training, too.",
                ),
                Option(
                    "Nothing: if the ranking is good the decisions are.",
                    "A decision compares a probability with a threshold. Where all are too low, the ill stay below it.",
                ),
            ),
        ),
        Question(
            "Hospitals send histograms of gradients, and a server adds them and grows a tree. The result is compared "
            "with a tree on pooled data. What is there to see?",
            (
                Option(
                    "The federated one is worse, as FedAvg is where hospitals differ.",
                    "FedAvg averages models that drifted apart. Here nothing is trained apart: sums are added up.",
                ),
                Option(
                    "The same tree, if bins are the same and sums are exact.",
                    "A split is chosen by sums over rows. It does not matter who added them up.",
                    right=True,
                ),
                Option(
                    "Another tree, equally good: bins of one hospital are not those of another.",
                    "The edges of the bins are agreed on before. With other edges at each, histograms could not be "
                    "added.",
                ),
            ),
        ),
        Question(
            "One party has the labels, another one other columns of the same patients. For logistic regression the "
            "first one sends its residuals, probability less label. What do they tell?",
            (
                Option(
                    "Only how well the model fits.",
                    "How well it fits one patient, and in which direction it is off. There are only two labels.",
                ),
                Option(
                    "Nothing, as long as the probability is not sent.",
                    "The probability need not be known: it is between 0 and 1. What is it less 1, and less 0?",
                ),
                Option(
                    "Every patient's label: it is the sign.",
                    "A probability less 1 is negative, less 0 positive. So residuals must be encrypted.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Hospitals are paid by the Shapley value. One joins a second time, under another name, with the same "
            "rows. What happens?",
            (
                Option(
                    "The two are paid what the one was: there is nothing new in the rows.",
                    "Each copy is paid for the orders in which it comes before the other. Together it is usually more.",
                ),
                Option(
                    "The two together usually get more than the one did, and the others less.",
                    "Symmetry is about names that join, not about rows. So check who joins before you pay.",
                    right=True,
                ),
                Option(
                    "Both get 0, as neither is missed.",
                    "That is leave one out. In many orders the other copy is not there yet.",
                ),
            ),
            of="09",
        ),
        Question(
            "A hospital withdraws, and the model stays as it is. An attack by the loss guesses no better than chance "
            "whether a patient of it was in the training. Has the model forgotten the hospital?",
            (
                Option(
                    "That cannot be said: another attack may see what this one does not.",
                    "The model was not changed, so it holds what it held. A quiet test is no certificate.",
                    right=True,
                ),
                Option(
                    "Yes: an AUC of 0.5 is what a model without these rows has.",
                    "It is what this attack has. A model that fits little is silent about rows that shaped it.",
                ),
                Option(
                    "Yes, if the interval of the AUC contains 0.5.",
                    "Few rows make a wide interval, which contains much. That is lack of evidence, and no evidence.",
                ),
            ),
            of="08",
        ),
    )
)
