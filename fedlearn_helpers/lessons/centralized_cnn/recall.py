"""The recall questions of notebook 01."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "60,000 images are dealt to 20 clients; each keeps a fifth for validation. With batches of 32, how many "
            "steps has an epoch of one client?",
            (
                Option("1,875", "That is an epoch over all 60,000 images. A client has 3,000."),
                Option("94", "That counts its validation images, too. It never trains on those."),
                Option("75", "It trains on 2,400 of its 3,000 images, and 2,400 / 32 is 75.", right=True),
                Option(
                    "1,500", "That is an epoch over all clients' training images. One client has a twentieth of them."
                ),
            ),
        ),
        Question(
            "What does IID say of clients' images?",
            (
                Option(
                    "Each client's images are a random sample of the same whole.",
                    "So mixtures of classes are equal up to chance.",
                    right=True,
                ),
                Option(
                    "Each client has equally many images.",
                    "That is about amounts. IID is about where images come from.",
                ),
                Option(
                    "Each client has exactly as many images of one class as of another.",
                    "Chance leaves differences, and the whole itself need not be balanced.",
                ),
                Option("No image is held by two clients.", "True of this deal, but so it is of the most unequal one."),
            ),
        ),
        Question(
            "After 10 epochs one client alone has 72 % and centralized has 84 %. What is known about the gap of 12 "
            "points?",
            (
                Option(
                    "It is what federated learning will win.",
                    "Nobody promised that. It is a hope, and part of it the client can win alone.",
                ),
                Option(
                    "It is due to the images that the client lacks.", "It also lacks steps: its epochs are shorter."
                ),
                Option(
                    "It is data and missing steps, mixed.",
                    "Let both go on until they stop improving, and see what is left.",
                    right=True,
                ),
                Option(
                    "It is noise: both were trained once.",
                    "In section 5 three clients alone were within a few points of each other. Noise is not that large.",
                ),
            ),
        ),
        Question(
            "Validation accuracies by epoch: 60, 66, 65, 68, 67, 68, 66, 70. With a patience of 3 and no least number "
            "of epochs, which epoch is kept?",
            (
                Option(
                    "epoch 8",
                    "It has the best accuracy, but training ended before: epochs 5, 6 and 7 brought nothing better.",
                ),
                Option(
                    "epoch 4",
                    "68 is first reached there. Epochs 5, 6 and 7 are not better (equal is not better): training ends "
                    "after 7.",
                    right=True,
                ),
                Option("epoch 7", "Training ends there. But kept is the best model, not the last one."),
                Option("epoch 2", "Only one epoch without a better one follows it: epoch 4 has 68."),
            ),
        ),
        Question(
            "Why does early stopping look at validation images, not at training images?",
            (
                Option(
                    "Because the training loss goes on falling while the model learns by heart.",
                    "It says nothing about new images.",
                    right=True,
                ),
                Option(
                    "Because there are fewer of them, which is quicker.",
                    "Fewer images make the choice noisier. That is their weakness.",
                ),
                Option("Because they are harder.", "They are a random fifth of the same images: equally hard."),
            ),
        ),
        Question(
            "Somebody tries five learning rates and reports the best test accuracy. What is wrong?",
            (
                Option(
                    "Nothing: test images are there to find the best rate.",
                    "They are there to judge one model that was chosen without them.",
                ),
                Option("Five rates are too few.", "More of them would make it worse: more chances for luck."),
                Option(
                    "The rate should be PyTorch's default.",
                    "A default suits nobody in particular: compare it with others, on validation images.",
                ),
                Option(
                    "The test images chose the rate, so the number is a little too high.",
                    "The best of five noisy numbers has luck in it. Choose with validation images, then test once.",
                    right=True,
                ),
            ),
        ),
        Question(
            "After 2 epochs a rate of 0.001 is behind one of 0.01. What follows?",
            (
                Option(
                    "That 0.001 is worse.",
                    "Only after so few steps. A small rate makes small steps, and needs more of them to get as far.",
                ),
                Option(
                    "Nothing yet: compare when both have stopped improving.",
                    "In section 7 it had caught up by then. But that could not be known after 2 epochs.",
                    right=True,
                ),
                Option(
                    "That 0.01 overfits.",
                    "Overfitting shows as a gap between training loss and validation loss, and later than that.",
                ),
            ),
        ),
        Question(
            "Suppose that accuracy over the number of images is a straight line on a logarithmic axis. From 1 to 2 "
            "clients it rises by 3 points. By how much does it rise from 5 to 10 clients?",
            (
                Option(
                    "3 points", "Both are a doubling, and equal factors are equal distances on that axis.", right=True
                ),
                Option("15 points", "Five more clients, 3 points each: that would be a straight line on a plain axis."),
                Option(
                    "0.6 points",
                    "That spreads 3 points over five clients. But five more than five is a doubling, as one more than "
                    "one is.",
                ),
                Option("0 points", "A straight line that rises goes on rising."),
            ),
        ),
        Question(
            "Three clients with 2, 2 and 6 examples return the weights 1, 3 and 5. What does the server of FedAvg make "
            "of them?",
            (
                Option("3", "That is the plain mean. Who has more examples counts more."),
                Option("38", "That is the sum of weights times examples. Divide by the number of examples."),
                Option("5", "That is the model of the largest client alone."),
                Option("3.8", "(2 · 1 + 2 · 3 + 6 · 5) / 10.", right=True),
            ),
            of="00",
        ),
        Question(
            "A client sends no image, only the weights after one training step with one image. What can the server "
            "learn?",
            (
                Option(
                    "Nothing: weights are not data.",
                    "Old minus new weights are the gradient times the rate, and the gradient was made from the image.",
                ),
                Option(
                    "The image, in favourable cases exactly.",
                    "The gradient of a first linear layer is a multiple of its input.",
                    right=True,
                ),
                Option(
                    "Only the image's class.",
                    "The class, too. But in a layer with a bias the input itself can be read off.",
                ),
            ),
            of="00",
        ),
    )
)
