"""The recall questions of notebook 08."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "A client trains a network whose first layer is dense on one image, one step, and sends the gradient. What "
            "can the server get?",
            (
                Option(
                    "Nothing: a gradient is a direction for weights.",
                    "It has a row for each unit, and each row is a multiple of the image.",
                ),
                Option(
                    "The class, and no more.", "The class, too: from the last bias. The image is in the first layer."
                ),
                Option(
                    "The image, but for rounding.",
                    "The gradient of a unit's weights, divided by that of its bias, is the input.",
                    right=True,
                ),
            ),
        ),
        Question(
            "An attack by optimization ends at once, with noise for a picture: the distance of gradients was below "
            "0.001 from the start. What does that show?",
            (
                Option(
                    "Nothing about privacy: after training gradients are small, and the stopping rule was absolute.",
                    "Divide the distance by the size of the gradient, and it goes on.",
                    right=True,
                ),
                Option(
                    "Training protects the image.",
                    "It was the rule that stopped. Relative to the gradient nothing was found yet.",
                ),
                Option("The network has no use for the image.", "Then the gradient would be zero. Small is not zero."),
            ),
        ),
        Question(
            "A client takes five local steps and sends its weights. An attacker treats the update as one gradient, and "
            "gets a bad picture. Is the client safe?",
            (
                Option(
                    "Yes: FedAvg hides gradients in sums.",
                    "Each step can be computed again by whoever guesses the image.",
                ),
                Option(
                    "No: an attacker can repeat the five steps while searching.",
                    "A bad picture says something about that attack. A defence must hold against the best one.",
                    right=True,
                ),
                Option(
                    "Yes, if the learning rate is secret.", "The server usually sets it, and few values are plausible."
                ),
            ),
        ),
        Question(
            "An attack guesses who was in the training set, with an AUC of 0.6. At 1 % false positives it finds 1 % of "
            "the members. How good is it?",
            (
                Option(
                    "It finds 60 % of the members.",
                    "The AUC is a mean over all limits, most of which accuse many wrongly.",
                ),
                Option(
                    "It cannot be above 0.5 on average.",
                    "It can, and is. It is spread over limits that are of little use.",
                ),
                Option(
                    "Where it must be sure, it is as good as a coin.",
                    "1 % right at 1 % wrong is chance. That is why attacks are compared where false alarms are few.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Which records leak most from a model that was trained too long?",
            (
                Option(
                    "Those with a wrong label.",
                    "The model can only know them by heart, and is surer of them than it would be otherwise.",
                    right=True,
                ),
                Option(
                    "The typical ones: they are most often seen.",
                    "The model is as sure of typical images that it has never seen.",
                ),
                Option("All alike.", "Measured apart, those with wrong labels stand out by far."),
            ),
        ),
        Question(
            "Secure aggregation is in use, and the server has honest code. What can it still learn of a single client?",
            (
                Option(
                    "Nothing at all.",
                    "It learns the sum. With few clients, or from two sums that differ by one, that is a lot.",
                ),
                Option(
                    "What the sum tells, and from rounds with and without the client, the difference.",
                    "The masks hide the terms of a sum. They do not hide the sum.",
                    right=True,
                ),
                Option(
                    "Its update, when it drops out.",
                    "Its message never came. The others help to remove its masks only.",
                ),
            ),
        ),
        Question(
            "Updates are clipped, no noise is added. Which epsilon does the mechanism have?",
            (
                Option("A small one: no client can do much.", "It can do little, and exactly that little can be seen."),
                Option("That depends on clip_norm.", "Noise of zero hides a step of any size equally badly."),
                Option(
                    "None: it is not differentially private.",
                    "With and without a client two different means come out, each with certainty. Epsilon is infinite.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Ten clients, all in every round, are to get the epsilon of a thousand of which a tenth takes part. "
            "What is the price?",
            (
                Option("Ten times as many rounds.", "More rounds make epsilon larger."),
                Option(
                    "Far more noise in the mean: it is divided by ten clients, and nobody is ever out of a round.",
                    "One of ten is a tenth of the mean, and it takes noise of that size to hide it.",
                    right=True,
                ),
                Option(
                    "None: epsilon does not depend on the number of clients.",
                    "Their number decides how much noise the mean has, and the share of a round is counted, too.",
                ),
            ),
        ),
        Question(
            "FedAvgM's server keeps a momentum: a sum of earlier means. Each was of clipped updates, and had noise. "
            "What does the momentum cost in epsilon?",
            (
                Option("As much as the rounds that it remembers.", "These rounds are paid for already."),
                Option("It makes epsilon infinite: noise adds up.", "Noise that adds up hides no less."),
                Option(
                    "Nothing: it is computed from what is private already.",
                    "Whatever is computed from a private result, without the data, is as private. Steps of the server "
                    "are free.",
                    right=True,
                ),
            ),
            of="05",
        ),
        Question(
            "A client sends 2 bits a number in place of 32, with error feedback. Does that protect its images?",
            (
                Option(
                    "It is no protection that anyone has accounted for.",
                    "Compression saves bytes. Whether an attack works must be measured, and a better one may come.",
                    right=True,
                ),
                Option(
                    "Yes: 30 of 32 bits are missing.",
                    "What is not sent now comes later, and signs alone say a lot. Nothing is promised.",
                ),
                Option(
                    "Yes, as much as noise of the same size.",
                    "Rounding is no noise that hides: whoever knows the rule can search for inputs that fit.",
                ),
            ),
            of="07",
        ),
    )
)
