"""The recall questions of notebook 02."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "Client A has 20 examples and returns the weight 1. Client B has 80 and returns 6. What is the new global "
            "weight of FedAvg?",
            (
                Option("3.5", "That is the plain mean. Four fifths of the examples are B's, so B counts four times."),
                Option("2", "The shares are the wrong way round: the client with more examples counts more."),
                Option("7", "Models are averaged, not added: the shares sum to one."),
                Option("5", "20/100 of 1 and 80/100 of 6 are 0.2 + 4.8.", right=True),
            ),
        ),
        Question(
            "When does one round of FedAvg give exactly what one place with all data would have?",
            (
                Option(
                    "When all clients have equally many examples.",
                    "Sizes do not matter, since the mean is weighted. With several local steps it differs even then.",
                ),
                Option(
                    "When the clients' data are IID.",
                    "That helps, but clients that take several steps compute gradients at different places.",
                ),
                Option(
                    "When all clients take one plain gradient step on all their data, from the same weights.",
                    "The mean of the clients' gradients, weighted by examples, is the gradient over all data. That is "
                    "FedSGD. (With Adam it is not: its step is no multiple of the gradient.)",
                    right=True,
                ),
                Option("Always: averaging is linear.", "Averaging is, but several steps of training are not."),
            ),
        ),
        Question(
            "Ten clients train ten different random networks for ten epochs, and these are averaged. What comes out?",
            (
                Option(
                    "Something close to guessing.",
                    "Each network has put its knowledge elsewhere: the same hidden unit does another job in each.",
                    right=True,
                ),
                Option(
                    "About what the best of them reaches.",
                    "Averaging weights does not choose the best model. It mixes numbers that do not belong together.",
                ),
                Option(
                    "About what they reach on average.",
                    "That would hold for an average of predictions. Weights of unrelated networks do not fit together.",
                ),
            ),
        ),
        Question(
            "One huge round of ten local epochs, or ten rounds of one, from the same start: what is the difference?",
            (
                Option(
                    "None: the clients make the same steps.",
                    "In ten rounds they make nine of their ten epochs from a model that others have taught, too.",
                ),
                Option(
                    "The huge round fails, as with different starts.",
                    "From the same start the average still is a good model. It is about as good as its parts.",
                ),
                Option(
                    "In the huge round nobody trains what others have taught. It sends a tenth of the bytes.",
                    "The models meet once, at the end. How much accuracy that costs, one short run hardly tells from "
                    "chance.",
                    right=True,
                ),
            ),
        ),
        Question(
            "In Flower, which part decides who trains in a round, and how the replies are combined?",
            (
                Option("The strategy", "FedAvg is one: it chooses clients, writes messages and averages.", right=True),
                Option("The ClientApp", "It answers messages. A client does not know who else takes part."),
                Option("The grid", "It only carries messages there and back, like the post."),
                Option(
                    "The ServerApp's main function",
                    "It makes a strategy and starts it. What happens in a round is written in the strategy.",
                ),
            ),
        ),
        Question(
            "9 of 10 clients do better with the federated model, one does worse. No difference alone is larger than "
            "two standard errors. What do you conclude?",
            (
                Option(
                    "Nothing: every difference may be chance.",
                    "Each may. But nine of ten in one direction happen by chance in about 2 % of such experiments.",
                ),
                Option(
                    "The one client that does worse proves that the federation harms some.",
                    "Its difference alone may be chance, and one in ten would not even be rare.",
                ),
                Option(
                    "This model helps its clients: nine of ten would be rare by chance.",
                    "With no effect, nine or more in one direction of ten has probability 22/1024. Whether another "
                    "seed's model helps is another question.",
                    right=True,
                ),
            ),
        ),
        Question(
            "You keep the round with the best accuracy on the TEST images, and report that accuracy. What is wrong?",
            (
                Option(
                    "The number is too good: of many noisy numbers you took the largest.",
                    "Choose with the clients' validation reports, and the test images can still judge.",
                    right=True,
                ),
                Option("Nothing: it is the best model.", "It may be. Its reported number is too good all the same."),
                Option(
                    "Test images must be used in the last round only.",
                    "Drawing the whole curve does no harm, as long as nothing is chosen by it.",
                ),
            ),
        ),
        Question(
            "20 clients train in every one of 50 rounds. The model weighs 0.2 MB. How much do these rounds send, "
            "evaluation left aside?",
            (
                Option(
                    "10 MB", "That is one trip a round for one client: 50 x 0.2. There are 20 clients and two trips."
                ),
                Option("200 MB", "That counts the way down only: every model also comes back."),
                Option(
                    "600 MB",
                    "That counts a third trip, for evaluation. The question leaves it aside.",
                ),
                Option("400 MB", "20 clients x 50 rounds x 2 trips x 0.2 MB.", right=True),
            ),
        ),
        Question(
            "A client alone reaches 74 % after ten epochs, 77 % with early stopping. A federation reaches 75 % after "
            "ten rounds. Did it win?",
            (
                Option(
                    "Yes: 75 is above 74.",
                    "Only above a client that was stopped. It costs a lone client nothing to train on.",
                ),
                Option(
                    "Not yet: a client that trains on has 77.",
                    "The line to beat is the best that a client can do alone.",
                    right=True,
                ),
                Option(
                    "Yes: both had ten passes over the images.",
                    "Equal epochs are one fair comparison, but nobody has to stop training after ten.",
                ),
            ),
            of="01",
        ),
        Question(
            "What travels to the server in one round of federated averaging?",
            (
                Option(
                    "The clients' examples, encrypted.",
                    "Examples stay where they are. That is the point of a federation.",
                ),
                Option(
                    "Nothing that says anything about the examples.",
                    "Weights were computed from the examples. Notebook 00 recovers a record from an update.",
                ),
                Option(
                    "Weights, and a few numbers such as how many examples a client has.",
                    "The server needs no more to compute a weighted mean.",
                    right=True,
                ),
            ),
            of="00",
        ),
    )
)
