"""The recall questions of notebook 00."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "Ten clients train one model together. What reaches the server in a round?",
            (
                Option("a part of each client's images", "No image leaves a client, not even a part of one."),
                Option(
                    "each client's weights after local training, and a few numbers, such as how many examples it has",
                    "The server needs the number of examples to weigh the client in the average.",
                    right=True,
                ),
                Option(
                    "each client's gradient, at every step",
                    "Machines of one data centre do that. Here many local steps lie between two messages.",
                ),
                Option("each client's predictions", "FedAvg averages models, not what they say."),
            ),
        ),
        Question(
            "A lone client was trained for 5 passes over its images and stopped. A federation trained for 60 and is "
            "better. What does that show?",
            (
                Option(
                    "that federating helps this client",
                    "Perhaps it only trained for longer. The client could have gone on, without sending a byte.",
                ),
                Option("that the client's images are bad", "Nothing was measured that would say so."),
                Option(
                    "nothing yet: the client must be allowed to train until it stops improving",
                    "The reference is what the client reaches alone with patience.",
                    right=True,
                ),
            ),
        ),
        Question(
            "A model has 1 MB, a client 300 MB of data. After how many rounds have its models weighed as much as its "
            "data, down and up together?",
            (
                Option("150", "In a round the model travels down and up: 2 MB. And 300 / 2 is 150.", right=True),
                Option("300", "That counts one way only. The model comes to the client, and goes back."),
                Option(
                    "100",
                    "That divides by three. But in a round a model makes two trips: down and up.",
                ),
            ),
        ),
        Question(
            "What distinguishes distributed training in a data centre from federated learning?",
            (
                Option(
                    "in distributed training the data were collected first, and then spread over machines",
                    "It makes training faster. It does not leave data with their owners.",
                    right=True,
                ),
                Option("nothing but the name", "Ask where the data are, and who has seen them."),
                Option(
                    "in distributed training every owner keeps its data and sends gradients",
                    "Its machines belong to one owner, who has all data.",
                ),
            ),
        ),
        Question(
            "A layer z = Wx + b takes one step of plain gradient descent on one record x. The server gets the new "
            "weights. What can it do?",
            (
                Option("nothing: weights are no data", "It knows the old weights, too. Subtract."),
                Option("learn the label, but not x", "It learns more than that: think of the rows of W."),
                Option(
                    "learn x up to noise",
                    "There is no noise unless somebody adds it: the quotient is exact up to rounding.",
                ),
                Option(
                    "compute x exactly",
                    "Old minus new is the gradient times the rate. A row for W, divided by its entry for b, is x "
                    "(unless that entry happens to be 0).",
                    right=True,
                ),
            ),
        ),
        Question(
            "In section 3 a client with four pictures took one step, and all four were found. Which change hid the "
            "largest share of a client's pictures?",
            (
                Option(
                    "50 steps on the four pictures instead of one",
                    "All four were found after 50 steps, too. Steps helped only where pictures were many already.",
                ),
                Option(
                    "one step on 32 pictures instead of four",
                    "Then most units answer to several pictures, and their quotient is a mixture. A few pictures were "
                    "found even so.",
                    right=True,
                ),
                Option(
                    "sending weights instead of gradients",
                    "After one plain step old weights minus new weights are the gradient, up to the rate: nothing is "
                    "hidden.",
                ),
            ),
        ),
        Question(
            "Client A has 30 examples and returns the weight 2, B has 10 and returns 6. What is FedAvg's average?",
            (
                Option("4", "That is the plain mean. A has three times the examples of B."),
                Option("5", "That counts B three times. It is A that has more examples."),
                Option("3", "(30 · 2 + 10 · 6) / 40 = 120 / 40.", right=True),
                Option("120", "The sum still has to be divided by all 40 examples."),
            ),
        ),
        Question(
            "The toy runs with 50 local steps, and its rounds have come to rest. Its error is above the centralized "
            "line's. What helps?",
            (
                Option("fewer local steps", "Clients drift less, so that the resting place comes nearer.", right=True),
                Option("more rounds", "At rest a further round changes nothing."),
                Option(
                    "still more local steps",
                    "They take each client nearer to its own best line, which is not the common one.",
                ),
            ),
        ),
        Question(
            "With one local step on all its data per client and round, FedAvg comes to rest at the centralized "
            "solution. Why?",
            (
                Option(
                    "because clients then have the same data",
                    "They have other points, as before. What is averaged is what matters.",
                ),
                Option("because one step is so small", "A larger rate gives the same place, as long as it is stable."),
                Option(
                    "because the weighted average of the clients' gradients is the gradient on all data",
                    "So a round is one step of gradient descent on all data.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Twenty hospitals train a tumour detector. Each keeps its images, and all take part in every round. "
            "What is that?",
            (
                Option("cross-silo", "Few clients with much data each, nearly always available.", right=True),
                Option("cross-device", "There clients are many, small, and come and go: only a sample takes part."),
                Option(
                    "distributed training",
                    "For that the images would have been pooled first. Here each hospital keeps its own.",
                ),
            ),
        ),
    )
)
