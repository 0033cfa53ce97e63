"""The recall questions of notebook 03."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "Ten clients are asked. Nine answer within 4 seconds, one is away. The deadline is after 6 seconds. When "
            "does the round end?",
            (
                Option(
                    "After 4 seconds, with the last answer.", "The server cannot know that the tenth will not answer."
                ),
                Option(
                    "After 6 seconds.", "One answer is missing, so the server listens until the deadline.", right=True
                ),
                Option("Never: it waits for the tenth.", "That would be a server without a deadline."),
            ),
        ),
        Question(
            "After 50 rounds each, rule A has 80 % and rule B 76 %. Rounds of A take 20 seconds, those of B 5. Which "
            "rule is better?",
            (
                Option("A, by 4 points.", "A had four times as long. As many rounds are not as much time."),
                Option("B, since it is faster.", "Faster rounds may lead to a worse model, however many there are."),
                Option(
                    "Not known yet: run B for 200 rounds.",
                    "Then both have had 1,000 seconds, and the comparison is fair.",
                    right=True,
                ),
                Option(
                    "Both are equal: 4 points may be chance.",
                    "They may be. But first of all the two had different amounts of time.",
                ),
            ),
        ),
        Question(
            "The late are dropped, and they hold other classes than the others. What does four times as much time do?",
            (
                Option(
                    "The model gets better, and a distance between the groups remains.",
                    "The classes of the late gain, too, but slowly: few of their images take part.",
                    right=True,
                ),
                Option(
                    "The classes of the late catch up completely.",
                    "They gain from the few images of them that others hold. In the notebook they stay behind.",
                ),
                Option("Nothing: who is dropped stays dropped.", "The others train on, and the model with them."),
                Option("The late get faster, and are in time.", "Their devices stay what they are."),
            ),
        ),
        Question(
            "With mu = 10 and one local step a round, FedProx is ...",
            (
                Option(
                    "a tenth as fast as FedAvg.", "In the first step the pull is mu times (w - w_t), and that is zero."
                ),
                Option("FedAvg exactly.", "Before the first step w = w_t: there is nothing to pull.", right=True),
                Option("no training at all.", "The gradient of the loss is there, and the pull is not."),
            ),
        ),
        Question(
            "A client is late in every round, and its work is dropped. What does the proximal term do for it?",
            (
                Option(
                    "It pulls the model towards that client.",
                    "It pulls towards the received model. Of a client that sends nothing the server knows nothing.",
                ),
                Option("It makes its steps faster.", "It costs a little more computing."),
                Option(
                    "Nothing. Partial work would help.",
                    "The two parts of FedProx are independent. Of the two only partial work lets the late answer.",
                    right=True,
                ),
                Option("It gives it a larger weight in the average.", "Weights are numbers of images, with any mu."),
            ),
        ),
        Question(
            "A device needs 1 second for both transfers together and 0.2 seconds a step. It is asked for 40 steps; the "
            "deadline is after 5 seconds. How many steps does it send with partial work?",
            (
                Option("25", "That leaves no time for the transfers."),
                Option("15", "That pays for the transfers twice."),
                Option("20", "4 seconds are left to compute, and 4 / 0.2 is 20.", right=True),
                Option("0: it is late", "It would be, with all 40 steps. With partial work it stops earlier."),
            ),
        ),
        Question(
            "Half of the clients are away in every round. When does that bias the model?",
            (
                Option(
                    "Always: half of the data is missing.",
                    "If others are missing in the next one, no group is left out for good. (Single rounds are biased.)",
                ),
                Option("Never: absence is chance.", "Absence often has reasons, and the reasons go with the data."),
                Option(
                    "If they are few, and not if they are many.", "It depends on who is away, not only on how many."
                ),
                Option(
                    "If it is mostly the same ones, and they hold other data.",
                    "Then what they hold is rare in the training, as if they had been dropped.",
                    right=True,
                ),
            ),
        ),
        Question(
            "What is a Flower client mod?",
            (
                Option(
                    "A function in front of the client's own: it may change the message, answer itself, or pass it on.",
                    "Here it answers in place of devices that are late or away.",
                    right=True,
                ),
                Option("A strategy for the server.", "A mod runs with the client. The server only sees its replies."),
                Option("A smaller model for weak devices.", "It is code around the client, whatever the model is."),
            ),
        ),
        Question(
            "A client has 300 training images, another one 100. Both answer. With which weights does FedAvg average?",
            (
                Option("1/2 and 1/2", "That is the mean over clients. FedAvg weights by images."),
                Option("3/4 and 1/4", "n_k / n: 300 / 400 and 100 / 400.", right=True),
                Option("1/4 and 3/4", "The client with more images counts more, not less."),
                Option("300 and 100", "Weights of an average add up to 1."),
            ),
            of="02",
        ),
        Question(
            "Why must all clients start a round from the same weights?",
            (
                Option(
                    "So that the server can check who has worked.",
                    "It could do so with any weights. It is about the average.",
                ),
                Option(
                    "So that all end up with the same weights.", "They do not, and need not: they have other images."
                ),
                Option(
                    "Networks that began at different weights put what they learn in different places.",
                    "Their average is then usually no good network, though each of them is.",
                    right=True,
                ),
            ),
            of="02",
        ),
    )
)
