"""The recall questions of notebook 09."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "One of eleven clients claims 100 times as many examples as each of the others, and sends an update with a "
            "normal norm. The server clips norms, and weighs by examples. What comes out?",
            (
                Option(
                    "Not much: the update was not too long.",
                    "Each is short enough, and one of them has most of the weight. The mean is nearly that one.",
                ),
                Option(
                    "The claim is caught by the clip.",
                    "The clip looks at norms. A number of examples is no part of an update.",
                ),
                Option(
                    "The client has most of the say: clipping does not bound weights.",
                    "A limit on the update is worth nothing where the client sets its own weight. Let all count alike.",
                    right=True,
                ),
            ),
        ),
        Question(
            "A server takes the trimmed mean that cuts 2 of 11 numbers at each end. Three clients send 10**9 in every "
            "coordinate. What comes out?",
            (
                Option(
                    "A huge number in every coordinate.",
                    "Two of the three are cut. The third is one of the seven that are left, and outweighs the others.",
                    right=True,
                ),
                Option(
                    "What the honest clients agree on: four numbers are cut in all.",
                    "Two of the four are cut at the other end, where honest numbers stand.",
                ),
                Option(
                    "A number that is off by three elevenths of what it should be.",
                    "A mean is not off by a share. How far one number moves it has no limit.",
                ),
            ),
        ),
        Question(
            "Why may Krum do worse than the mean when nobody attacks?",
            (
                Option(
                    "It needs more rounds to find the attackers.",
                    "It keeps no list of attackers: every round begins anew.",
                ),
                Option(
                    "It takes the model of one client, and throws the others' work away.",
                    "One client has few examples, and its own mixture of classes. That is the price, attack or not.",
                    right=True,
                ),
                Option(
                    "It cuts coordinates that matter.",
                    "Krum never cuts coordinates. It chooses a whole model that has near neighbours.",
                ),
            ),
        ),
        Question(
            "A model has the same test accuracy as before. A few clients have trained it on images with a trigger. Is "
            "it clean?",
            (
                Option(
                    "Yes: a harmful update would cost accuracy.",
                    "It costs accuracy on images with the trigger. The test set has none.",
                ),
                Option(
                    "Yes, if each class has its old accuracy, too.",
                    "No test image of any class has the trigger, so no mean over them can show it.",
                ),
                Option(
                    "That cannot be said from this number.",
                    "A backdoor answers to its trigger alone. It is seen only on images that have it.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Each client has two classes, nobody attacks, and the server takes Multi-Krum, told two attackers. Whose "
            "models does it leave out?",
            (
                Option(
                    "Nobody's: there is no attacker to leave out.",
                    "It does not find out whether there is one. It leaves out as many as it is told, in every round.",
                ),
                Option(
                    "Those that are unlike the others.",
                    "It knows distances, and not what they come from. It may be the same clients round after round.",
                    right=True,
                ),
                Option(
                    "Those with the lowest accuracy.",
                    "It measures no accuracy. It looks at distances between models, and at nothing else.",
                ),
            ),
        ),
        Question(
            "Clients differ a lot. Attackers send their honest mean, turned round and made short. Why is that hard to "
            "find by distance?",
            (
                Option(
                    "It is nearer to the middle than many honest updates are.",
                    "The more honest clients differ, the more room there is to hide among them.",
                    right=True,
                ),
                Option(
                    "It has the norm of an honest update.",
                    "It is shorter. Turned round and as long as an honest one, it would be farther from the middle.",
                ),
                Option(
                    "The server would have to know the attackers.",
                    "It would not: distances need no names. They are just small here.",
                ),
            ),
        ),
        Question(
            "Clients differ, and the server averages them in groups of two before it takes the median (bucketing). "
            "What does that change?",
            (
                Option(
                    "It finds the attackers: a group with one is odd.",
                    "Nobody is named. The group's mean may be odd, and its honest member is lost with it.",
                ),
                Option(
                    "Twice as many attackers are survived.",
                    "Fewer: each attacker can spoil a group, and there are half as many groups as clients.",
                ),
                Option(
                    "Groups differ less than clients, and an attacker spoils a whole group.",
                    "So honest minorities lose less, and fewer attackers are survived. It is a trade.",
                    right=True,
                ),
            ),
        ),
        Question(
            "Two clients hold the same data and send the same model. Leaving one of them out changes nothing. What are "
            "they worth?",
            (
                Option(
                    "Nothing, both of them: leave-one-out says 0.",
                    "Left out together they may be missed a lot. Each is 0 only as long as the other is there.",
                ),
                Option(
                    "By Shapley's rule equally much; usually more than 0.",
                    "In half of all orders a client joins before its twin, and then its data are new to the others.",
                    right=True,
                ),
                Option(
                    "As much as any other two clients: they have sent as much.",
                    "A free rider sends as much, too. What counts is what the model gains.",
                ),
            ),
        ),
        Question(
            "Every message is signed, and the server refuses those that are not. It also sums updates by secure "
            "aggregation. Which attack is still open?",
            (
                Option(
                    "A stranger who sends an update in a client's name.",
                    "For that it would need the client's key. This is what a signature prevents.",
                ),
                Option(
                    "A member that signs a poisoned update; and the server cannot look at it.",
                    "A signature says who, not whether honest. And a median needs single updates, which a sum hides.",
                    right=True,
                ),
                Option(
                    "None: who can be held to account does not attack.",
                    "Who is to be held to account? The sum does not show whose update it was.",
                ),
            ),
            of="08",
        ),
        Question(
            "Without any attacker one client's update contains one NaN, from a learning rate that was too high. What "
            "does FedAvg's weighted mean make of it?",
            (
                Option(
                    "One NaN weight, and so a model whose outputs are NaN.",
                    "A sum with a NaN in it is NaN, however little that client counts. The next round begins with it.",
                    right=True,
                ),
                Option(
                    "It leaves the NaN out.",
                    "A mean leaves out nothing. The server must look before it averages.",
                ),
                Option(
                    "A model that is off by this client's share.",
                    "A share of NaN is NaN. It does not get smaller by its weight.",
                ),
            ),
            of="02",
        ),
    )
)
