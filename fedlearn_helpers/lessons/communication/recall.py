"""The recall questions of notebook 07."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "Clients send 2 bits a number in place of 32. The server's messages stay as they are. How many times fewer "
            "bytes does the federation send in all?",
            (
                Option("16 times", "That is the way up alone. The way down is as large as it was."),
                Option("8 times", "Half of a saving is not how two ways add up: 1 + 1 becomes 1 + 1/16."),
                Option(
                    "Not quite 2 times", "(1 + 1) / (1 + 1/16) is 1.9: the way down is nearly all of it.", right=True
                ),
            ),
        ),
        Question(
            "FedSGD needs many more rounds than FedAvg with one local epoch. Why?",
            (
                Option(
                    "In a round it takes a single step, over all images, and FedAvg takes many.",
                    "Both look at every image once. The steps are what differs.",
                    right=True,
                ),
                Option(
                    "It sees fewer images in a round.", "It sees them all: its gradient is that of the whole data set."
                ),
                Option("Gradients are larger than weights.", "There is one number of a gradient for each weight."),
                Option(
                    "Averaged gradients do not lead to the model of pooled data.",
                    "They do, exactly: of all federated methods it is the one that equals training in one place.",
                ),
            ),
        ),
        Question(
            "Codec A sends the largest 1 % of an update, codec B a random 1 % times 100. Which is right on average?",
            (
                Option("A: it sends what matters most.", "What is small is never sent, in no draw: that is a bias."),
                Option(
                    "B: over many draws each number arrives as what it is.",
                    "One draw is far off, and the mean of many is not. (Which one learns better is another question.)",
                    right=True,
                ),
                Option("Neither: both lose 99 %.", "Of one message. The mean over many messages loses nothing with B."),
            ),
        ),
        Question(
            "What does error feedback do?",
            (
                Option(
                    "The server asks again for what was damaged.",
                    "Nothing is damaged and nobody asks: the client knows what it did not send.",
                ),
                Option(
                    "It sends the error beside the update.", "Then nothing would be saved. The error stays at home."
                ),
                Option(
                    "It lowers the learning rate when the error is large.", "The rate stays. What is added is memory."
                ),
                Option(
                    "What a message lacks is added to the sender's next update.",
                    "So nothing is lost; it arrives later, when it has grown enough to be sent.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Zip makes a text a third of its size. Why does it do little for the weights of a network?",
            (
                Option(
                    "The last bits of a float are as good as random, and nothing random can be packed.",
                    "A lossless codec keeps every bit, also those that mean nothing. Rounding throws them away.",
                    right=True,
                ),
                Option("Weights are packed already.", "They are plain floats, four bytes each."),
                Option(
                    "The model is too small.",
                    "A larger one has more floats of the same kind, and packs as badly.",
                ),
            ),
        ),
        Question(
            "A client connects every three days, long enough for one round. The server waits for all in every round. "
            "About how long do 20 rounds take?",
            (
                Option(
                    "Three days: then it sends all 20 answers.",
                    "For its second answer it needs the second model, which is made of all first answers.",
                ),
                Option("As long as without it: it is one of ten.", "A synchronous round lasts as long as the slowest."),
                Option("Two months", "One round in three days, for all ten clients.", right=True),
            ),
        ),
        Question(
            "After as many hours FedBuff is ahead of rounds that wait for all; after as many bytes it is not. How can "
            "both be?",
            (
                Option("One of the two measurements is wrong.", "Both are right, and answer different questions."),
                Option(
                    "In the same hours its clients send more messages.",
                    "The fast come again and again. For as many bytes, rounds need more hours, and get as far.",
                    right=True,
                ),
                Option(
                    "Its messages are larger.",
                    "They are models, as in rounds.",
                ),
                Option("Old answers are thrown away.", "They count less, and are not thrown away."),
            ),
        ),
        Question(
            "Sixteen clients average with neighbours on a ring, without a server. Each one sends two messages a round. "
            "What is the price, against all with all?",
            (
                Option(
                    "Many more rounds until they agree, the more so the larger the ring.",
                    "The spectral gap of a ring shrinks with the square of its size.",
                    right=True,
                ),
                Option("The mean of all is lost.", "A doubly stochastic matrix keeps the mean in every round."),
                Option("None: two messages are enough.", "For a round, yes. But news travel one place a round."),
            ),
        ),
        Question(
            "Rule A reaches 75 % after 20 rounds, rule B after 60. Rounds of A last 90 seconds, those of B 10. Which "
            "is sooner?",
            (
                Option("A: it needs a third of the rounds.", "Its rounds last nine times as long."),
                Option("B: 600 seconds against 1,800.", "Compare by what is scarce. Here that is time.", right=True),
                Option("It cannot be known.", "Rounds times seconds, for both: all that is needed is there."),
            ),
            of="03",
        ),
        Question(
            "A model of 50,000 float32 numbers, ten clients, all in every round. About how many megabytes do 25 rounds "
            "send?",
            (
                Option("5", "That is one way for 25 models. There are ten clients, and two ways."),
                Option("50", "The way up, or the way down: 25 rounds of 10 models of 0.2 MB. There are both."),
                Option("100", "0.2 MB, 10 clients, 25 rounds, both ways.", right=True),
                Option("12.5", "A float32 has four bytes, and there are two ways."),
            ),
            of="02",
        ),
    )
)
