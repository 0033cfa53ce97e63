"""The recall questions of notebook 04."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "Two hospitals have the same illnesses equally often, but one has another scanner. Which skew is it?",
            (
                Option("Label skew", "How often each class occurs is the same in both."),
                Option("Feature skew", "The same class looks different.", right=True),
                Option("Concept shift", "The same scan would still get the same diagnosis in both."),
                Option("Quantity skew", "Nothing is said about who has more."),
            ),
        ),
        Question(
            "Ten equally frequent classes. A client has five of them, equally often. Its total variation distance?",
            (
                Option("0.25", "Five times 0.1 too much and five times 0.1 too little, halved: more than that."),
                Option("1", "That is the sum of the absolute differences. Half of it is the distance."),
                Option(
                    "0.5",
                    "Ten differences of 0.1, and half their sum. Half of its images would need another label.",
                    right=True,
                ),
                Option("0.8", "That is a client with two of the ten classes."),
            ),
        ),
        Question(
            "A paper says: 'Dirichlet partition with alpha = 0.1'. What else must you know before you compare?",
            (
                Option(
                    "Nothing: alpha is defined by the distribution.",
                    "What is drawn is not: three rules share the name.",
                ),
                Option(
                    "The rule: what the shares are drawn for, classes or clients, and with which prior.",
                    "The same alpha gives other distances or other sizes under these rules. A measured distance "
                    "and the sizes would do as well.",
                    right=True,
                ),
                Option(
                    "Only the seed.",
                    "Another seed moves the distance a little. Rule C at the same alpha moves it further, and A has "
                    "other sizes than B.",
                ),
            ),
        ),
        Question(
            "Each client has two classes. Its own model is right on 95 % of its own validation images and on 19 % of "
            "the test images. What follows?",
            (
                Option(
                    "One of the two numbers must be a bug.",
                    "Both can be true: two classes of ten are a fifth of the test images, and 95 % of a fifth is 19 %.",
                ),
                Option(
                    "It overfits: it has learned its training images by heart.",
                    "Its own validation images are new to it, too. It is right on new images of its two classes.",
                ),
                Option(
                    "It serves this client well, and a person who may bring any class badly.",
                    "Whose accuracy is meant decides which of the two to report.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Two updates of equal length have cosine -0.5. What does the server's plain mean of the two do?",
            (
                Option(
                    "It is shorter than each of them: part of one undoes part of the other.",
                    "Two vectors of length 1 with cosine -0.5 have a mean of length 0.5.",
                    right=True,
                ),
                Option(
                    "It points backwards: the model gets worse for both.",
                    "A mean lies between the two. It can still be a step forward for both.",
                ),
                Option("It is as long as they are: a mean keeps the length.", "Only if both point the same way."),
            ),
        ),
        Question(
            "IID clients start a round from a model that is nearly as good as it gets, and their updates are nearly "
            "orthogonal. Why?",
            (
                Option(
                    "Their data differ after all.",
                    "They are dealt at random from the same whole; the differences are chance.",
                ),
                Option(
                    "There is little left in common to learn. Most of what is left is the noise of each client's own "
                    "few images.",
                    "So a small cosine alone proves no difference of data: measure IID clients from the same start.",
                    right=True,
                ),
                Option(
                    "The learning rate is too small.",
                    "A rate scales each step; from a model far from good the same rate gives updates that agree.",
                ),
            ),
        ),
        Question(
            "For which of these federations does client drift cost nothing, however different the clients are?",
            (
                Option(
                    "One step a round on all of a client's images, and clients weighted by their numbers of images.",
                    "The mean of these steps is a step on the pooled data. This is FedSGD.",
                    right=True,
                ),
                Option(
                    "One epoch a round in small batches.",
                    "That is many steps. Each client leaves on its own way after the first.",
                ),
                Option(
                    "Ten epochs a round, if clients are weighted equally.",
                    "The weights decide who pulls how hard, not whether they pull apart.",
                ),
            ),
        ),
        Question(
            "Half of the clients call a shirt what the others call a coat. All images look alike and are equally "
            "frequent. What helps?",
            (
                Option(
                    "More rounds.",
                    "No single model can answer the same image in two ways, however long it trains.",
                ),
                Option("A larger network.", "It still gives one answer to one image."),
                Option(
                    "More than one model: of each client's own, or one for each group.",
                    "Under concept shift the best answer depends on the client. Notebook 06 does this.",
                    right=True,
                ),
                Option(
                    "Fewer local steps.",
                    "That cures drift. Here even training on the pooled data fails.",
                ),
            ),
        ),
        Question(
            "With full participation and one full-batch step per client, FedAvg gives the same model as …",
            (
                Option("… one client's training.", "A client alone uses its own gradient only."),
                Option(
                    "… one step of gradient descent on the pooled data.",
                    "The mean of the gradients, weighted by examples, is the gradient of the pooled loss.",
                    right=True,
                ),
                Option(
                    "… an epoch of small batches on the pooled data.",
                    "An epoch makes many steps, each from another model. Here all gradients are taken at one model.",
                ),
            ),
            of="02",
        ),
        Question(
            "A federation drops the slowest clients of each round, and these hold classes that no other client holds. "
            "What happens?",
            (
                Option(
                    "Nothing, if there are enough rounds.",
                    "More rounds without these clients do not bring their classes.",
                ),
                Option(
                    "The model gets worse at exactly these classes, and the mean over all test images hides how much.",
                    "Who is left out takes knowledge along. So look at each class, not at the mean.",
                    right=True,
                ),
                Option(
                    "Each round takes longer.",
                    "Dropping makes rounds shorter. The price is paid in accuracy.",
                ),
            ),
            of="03",
        ),
    )
)
