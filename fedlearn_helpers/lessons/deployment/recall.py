"""The recall questions of notebook 10."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "`flwr run` has ended with exit code 0, and `flwr ls` says finished:completed. What do you know?",
            (
                Option(
                    "The model was trained by all clients.",
                    "A run whose clients all fail in every round ends like this, too. Count the failures.",
                ),
                Option(
                    "The ServerApp came to its end. Whether anybody trained, the counts of failures say.",
                    "Exit code and status speak of the server's side. What clients did is in the replies.",
                    right=True,
                ),
                Option(
                    "Nothing at all: the exit code is random.",
                    "It is not random: it says that the command ended. That is just not what you want to know.",
                ),
            ),
        ),
        Question(
            "A hospital's SuperNode checks the SuperLink's certificate. Node authentication is off. Who may join the "
            "federation?",
            (
                Option(
                    "Anybody who reaches the port.",
                    "The certificate proves who the server is. It says nothing about clients: for that they need keys.",
                    right=True,
                ),
                Option(
                    "Whoever has the certificate of the CA.",
                    "That certificate is public, and is used to check the server. It opens no door.",
                ),
                Option(
                    "The hospitals only: TLS encrypts the connection.",
                    "An encrypted connection can be made by anybody. Encrypted does not mean invited.",
                ),
            ),
        ),
        Question(
            "A SuperNode is killed while it trains. What does the server see at first?",
            (
                Option(
                    "An error from this node, at once.",
                    "Who is dead sends no error. A node that is stopped in order does sign off.",
                ),
                Option(
                    "The run fails, and must be started anew.",
                    "The round ends with a failure in its counts, and the run goes on with the others.",
                ),
                Option(
                    "Nothing. It waits until the node's sign of life is overdue.",
                    "Silence is all there is, until a sign of life is overdue. Each such round costs that time.",
                    right=True,
                ),
            ),
        ),
        Question(
            "The SuperLink is killed in round 7 of 10, and started again on the same database. What happens?",
            (
                Option(
                    "The nodes come back; the run is marked as failed. Somebody must start one that begins at round 7.",
                    "The database knows nodes and runs, not the model of round 6. That is in a checkpoint, or lost.",
                    right=True,
                ),
                Option(
                    "The run goes on with round 7.",
                    "The ServerApp ended with its process. Flower does not start it again by itself.",
                ),
                Option(
                    "All SuperNodes have to be started and registered again.",
                    "That would be so without a database. With one they come back with the numbers that they had.",
                ),
            ),
        ),
        Question(
            "A run with SCAFFOLD goes on from a checkpoint that holds the global model alone. What comes out?",
            (
                Option(
                    "The same model as without the stop: the rounds are the same.",
                    "The clients' corrections begin at zero again, and so does the server's. The steps differ.",
                ),
                Option(
                    "Another model than without the stop, and no error.",
                    "Control variates are part of the state: the server's, and one at every client. All must be kept.",
                    right=True,
                ),
                Option(
                    "An error, since the control variates are missing.",
                    "Missing control variates are what a first round looks like. So nothing complains.",
                ),
            ),
        ),
        Question(
            "The exported model agrees with PyTorch to 1e-5 on the test tensors. On phones it is much worse. What "
            "should you look at first?",
            (
                Option(
                    "The phone's arithmetic, which rounds in another way.",
                    "Rounding costs 1e-5 or so, and not that much.",
                ),
                Option(
                    "Whether pixels from 0 to 255 go in where the model wants -1 to 1.",
                    "The test tensors were normalized before the model. Put that step into the exported file.",
                    right=True,
                ),
                Option(
                    "The number of classes.",
                    "It is in the file, and a wrong one could not agree on the test tensors.",
                ),
            ),
        ),
        Question(
            "Ten devices get an update first, and each measures it on 20 examples of its own. The accuracy falls from "
            "84.5 % to 84.0 %. What follows?",
            (
                Option(
                    "Roll back: it has become worse.",
                    "Chance does as much. You would roll back half of the updates that change nothing.",
                ),
                Option(
                    "Go on: half a point does not matter.",
                    "It would matter on a million devices, if it were real. This many examples cannot say.",
                ),
                Option(
                    "Nothing yet: 200 examples cannot tell half a point from chance.",
                    "Let each device vote for the model that does better on its examples, and ask more of them.",
                    right=True,
                ),
            ),
        ),
        Question(
            "An aggregator in the middle of a tree has averaged the models of its 100 clients. What must it send up?",
            (
                Option(
                    "The mean.",
                    "The root would have to guess what it counts for: 100 clients with 5 examples, or with 5,000?",
                ),
                Option(
                    "The mean, or the weighted sum, and the number of examples behind it.",
                    "With both the root gets the same as from all clients. The tree changes nothing but the load.",
                    right=True,
                ),
                Option(
                    "All 100 models, so that nothing is lost.",
                    "Then the root has the load that the tree was built to spare it.",
                ),
            ),
        ),
        Question(
            "All connections use TLS, and all nodes have registered keys. What does the server's operator see of a "
            "hospital's update?",
            (
                Option(
                    "All of it: TLS ends at the server.",
                    "It keeps strangers on the way out. What keeps the server itself out is a secure sum.",
                    right=True,
                ),
                Option(
                    "Nothing: it is encrypted.",
                    "It is encrypted on its way. The server must open it, to average it.",
                ),
                Option(
                    "Its length and its time only.",
                    "That is what somebody sees who listens to the wire. The server is the other end of it.",
                ),
            ),
            of="08",
        ),
        Question(
            "The server waits in every round for the slowest of its clients, and one of ten is often asleep. What does "
            "leaving out the late cost?",
            (
                Option(
                    "Nothing: nine of ten are enough for an average.",
                    "Enough for an average, yes. But of whom? The late may have data that nobody else has.",
                ),
                Option(
                    "The data of those who are often late, if they differ from the others'.",
                    "A rule that leaves out the slow leaves out what only they know.",
                    right=True,
                ),
                Option(
                    "Time: the rounds get longer.",
                    "They get shorter. That is why it is tempting.",
                ),
            ),
            of="03",
        ),
    )
)
