"""The recall questions of notebook 05."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "A paper compares its strategy with FedAvg; all use the client rate 0.01. What do you know?",
            (
                Option(
                    "Which of the two is better: the setting is the same for both.",
                    "The same number is not the same chance. One of them may be far from its best at 0.01.",
                ),
                Option(
                    "Nothing, since FedAvg is always tuned and the new strategy is not.",
                    "Nobody has tuned anything here. It could favour either.",
                ),
                Option(
                    "At most which of the two is better at 0.01, and nothing about other rates.",
                    "The order can turn when the rate changes. Tune both with the same budget.",
                    right=True,
                ),
                Option(
                    "That drift does not matter, as 0.01 is small.",
                    "Drift depends on the rate times the local steps, and on the data. One number does not tell.",
                ),
            ),
        ),
        Question(
            "What makes FedAvg rest beside the optimum of all, on the plane?",
            (
                Option(
                    "Too few rounds.",
                    "It stays there for ever: more rounds only bring it closer to its own resting place.",
                ),
                Option(
                    "Noise in the gradients.",
                    "There is none on the plane: gradients are exact.",
                ),
                Option(
                    "Clients come unequally far towards their own optima within a round.",
                    "Who cares much about a direction nearly arrives, who cares little does not: other proportions "
                    "than in the loss of all.",
                    right=True,
                ),
            ),
        ),
        Question(
            "SCAFFOLD, one client, learning rate 0.1, 5 steps, c = c_k = 0. The client moves from w = 3 to y = 2. What "
            "is its new c_k?",
            (
                Option("1", "That is how far it moved. Divide by the number of steps and by the rate."),
                Option("2", "(3 − 2) / (5 · 0.1) = 2: the mean of the gradients that it followed.", right=True),
                Option("0.2", "That is the movement in a step. A gradient is that, divided by the rate."),
                Option("−2", "The client moves against its gradient: w − y, not y − w."),
            ),
        ),
        Question(
            "FedDyn has come to rest. What is g_k?",
            (
                Option("Zero.", "Then each client would be at the optimum of its own loss. They differ."),
                Option(
                    "The gradient of client k's own loss, at the model of all.",
                    "Nobody moves, so the tilted loss is flat: the gradient less g_k is zero. And the g_k add up to 0.",
                    right=True,
                ),
                Option(
                    "The sum of client k's gradients in all rounds.",
                    "That sum would grow for ever. g_k changes while the client moves, and at rest it does not.",
                ),
                Option("The mean of all clients' gradients.", "That mean is h, and it is zero at rest."),
            ),
        ),
        Question(
            "Three clients take 2, 10 and 48 steps, each with the same number of images. By how much does FedNova "
            "stretch the first one's change?",
            (
                Option(
                    "By 10: the mean number of steps is 20, and it took 2.", "20 / 2 = 10, straight ahead.", right=True
                ),
                Option(
                    "By 24: the largest number of steps over the smallest.", "All are brought to the mean, not to 48."
                ),
                Option(
                    "Not at all: FedNova shortens those with many steps.",
                    "It does that too. But those with fewer steps than the mean are stretched.",
                ),
            ),
        ),
        Question(
            "q-FedAvg with q = 0, and all clients in every round. What is the new model?",
            (
                Option(
                    "FedAvg's, exactly.",
                    "FedAvg weighs clients by images. They agree only where all have equally many.",
                ),
                Option("The old one: the power 0 leaves nothing.", "F to the power 0 is 1, for every client."),
                Option(
                    "The plain mean of the clients' models.",
                    "Every client counts the same, whatever its loss and its images.",
                    right=True,
                ),
                Option(
                    "That of the client with the highest loss.",
                    "That is what a very large q goes towards.",
                ),
            ),
        ),
        Question(
            "Clients take many local steps. Which server rule removes drift?",
            (
                Option("FedAdam", "It rests only where the clients' mean change is zero: at FedAvg's resting place."),
                Option("FedAvgM", "Momentum goes there faster, and to the same place."),
                Option("FedYogi", "It differs from FedAdam in how v forgets, not in where it rests."),
                Option(
                    "None of these",
                    "They all rest where Δ = 0. Drift is in Δ itself; the clients' steps must be corrected.",
                    right=True,
                ),
            ),
        ),
        Question(
            "With four seeds a strategy is +3, +4, −1 and +6 points above FedAvg, 3 on average. What do you report?",
            (
                Option(
                    "It is 3 points better.",
                    "One of four seeds says the opposite: the standard error is about 1.5 points.",
                ),
                Option("+6, its best run.", "Then report FedAvg's best run, too, and nothing is left but luck."),
                Option("No difference.", "Not shown is not the same as absent: more seeds would tell."),
                Option(
                    "3 points on average, from −1 to +6, and not with every seed.",
                    "Mean, spread and sign: a reader can judge.",
                    right=True,
                ),
            ),
        ),
        Question(
            "A client holds 40 images of one class and nothing else. Its own model names 100 % of its validation "
            "images rightly. What follows?",
            (
                Option(
                    "It needs no federation, whatever images it will meet.",
                    "For its own class it needs none. Asked about any other, its model is always wrong.",
                ),
                Option(
                    "Little: a model that always says this class has 100 % there, too.",
                    "Always ask on whose images an accuracy was measured.",
                    right=True,
                ),
                Option(
                    "Its model is overfitted.",
                    "Validation images were not trained on. They are just all of one class.",
                ),
            ),
            of="04",
        ),
        Question(
            "The late half of the devices holds classes that the others lack, and the server drops the late. Why can "
            "comparing rules after equally many rounds mislead?",
            (
                Option(
                    "Rounds take the same time in all rules.",
                    "They do not: who drops the late has shorter rounds, and takes more of them in the same time.",
                ),
                Option(
                    "The rule that waits has used much more time by then.",
                    "Compare at the same time on the clock, and the same bytes, as well.",
                    right=True,
                ),
                Option(
                    "Late devices train better models.",
                    "Late says nothing of quality. It is about the classes that are missing.",
                ),
            ),
            of="03",
        ),
    )
)
