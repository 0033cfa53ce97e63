"""The recall questions of notebook 12."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "Three clinics may bring their images together, and the images fit on a disk. They want to federate "
            "because it is modern. What does the decision aid say?",
            (
                Option(
                    "Federate: with three parties it is cross-silo.",
                    "Three parties make it cross-silo if it is a federation at all. Here nothing keeps the data apart.",
                ),
                Option(
                    "Centralize: it is least work, and hard to beat.",
                    "Where right and network allow it, pooled data are the line that a federation tries to reach.",
                    right=True,
                ),
                Option(
                    "Not yet: a clinic alone has to be measured first.",
                    "That line shows what a federation gains. Whoever pools the data does not need it to decide.",
                ),
            ),
        ),
        Question(
            "Six plants want a federated model. Nobody has trained a model on one plant's data alone. Why is the "
            'answer "not yet"?',
            (
                Option(
                    "Six plants are too few.",
                    "Federations of companies have had ten parties. How many there are is not what is missing.",
                ),
                Option(
                    "A plant must be able to train before it can take part.",
                    "It must, and perhaps it can. What is missing is a number, not a machine.",
                ),
                Option(
                    "Without that line no gain can be shown, whatever the federation reaches.",
                    "90 per cent together is a gain if a plant alone has 80, and a loss if it has 92.",
                    right=True,
                ),
            ),
        ),
        Question(
            "A project reports that the mean accuracy over clients rose by two points. What is the first thing to ask?",
            (
                Option(
                    "How the worst client did, and whether anybody lost.",
                    "A mean rises while somebody falls. Who falls is better off alone, and will leave.",
                    right=True,
                ),
                Option(
                    "How many rounds it took.",
                    "That is a question of the price. First it must be known who gained at all.",
                ),
                Option(
                    "Whether the largest client has counted more.",
                    "That changes which mean it is. No mean says how far clients lie apart.",
                ),
            ),
        ),
        Question(
            "Why is a federation also measured on clients that took no part in the training?",
            (
                Option(
                    "They have more test rows.",
                    "How many rows there are says how sure the number is, not what it is about.",
                ),
                Option(
                    "Their accuracy is higher, as nobody has fitted noise of theirs.",
                    "It is usually lower: the model has seen nothing of how they differ.",
                ),
                Option(
                    "Whoever joins next year is one of them, and a model may have learned its own clients by heart.",
                    "Other rows of the same clients cannot show that. A client that was left out can.",
                    right=True,
                ),
            ),
        ),
        Question(
            "A phone moves to a country with another language, and the shared model is fine-tuned on what is written "
            "there. What is to be measured?",
            (
                Option(
                    "Accuracy on new text that it was not tuned on, and on text of the old kind.",
                    "What is learned for the new place may be forgotten for the old one. Only both numbers show it.",
                    right=True,
                ),
                Option(
                    "Accuracy on the text that it was tuned on.",
                    "That says how well it was learned by heart. The next message is another one.",
                ),
                Option(
                    "Accuracy on all other phones: they get the tuned model, too.",
                    "Fine-tuning at home changes this phone's model alone. The shared one is as it was.",
                ),
            ),
        ),
        Question(
            "Clients train adapters of rank 4, and the server averages A and B, each for itself. What does it get?",
            (
                Option(
                    "The mean of the clients' updates: a mean is linear.",
                    "A product is not linear in both of its factors. Mean B times mean A has terms of two clients.",
                ),
                Option(
                    "The product of two means, which differs from the mean of products.",
                    "The difference is how B and A vary together over clients. With one local epoch it is small.",
                    right=True,
                ),
                Option(
                    "Noise: B of one client does not fit A of another one.",
                    "All began from the same A and B, and drifted little. So it works, with an error to be measured.",
                ),
            ),
        ),
        Question(
            "FFA-LoRA freezes A, the same for all clients, and trains B alone. What comes of it?",
            (
                Option(
                    "The mean of products is exact, at half of the freedom for the same rank.",
                    "mean(B A) = mean(B) A. Square layers send half as much. Whether that pays is to be measured.",
                    right=True,
                ),
                Option(
                    "The error stays, and the bytes are halved.",
                    "The error is how B and A vary together. Where A does not vary there is none.",
                ),
                Option(
                    "It is exact, and as large as the whole layer.",
                    "That is FedEx-LoRA, where the server sends what is lost. FFA-LoRA sends less than LoRA.",
                ),
            ),
        ),
        Question(
            "A sentence with a number of three digits was never planted. What is the exposure of that number?",
            (
                Option(
                    "0 bits: there is nothing to remember.",
                    "0 is for the last of all thousand ranks. A number that nobody planted has any rank.",
                ),
                Option(
                    "Any: above 1 bit in half of the cases, and now and then 4.",
                    "Its rank is like a drawn one. So measure before the training, and with several numbers.",
                    right=True,
                ),
                Option(
                    "About 10 bits, as it is one of a thousand.",
                    "log2 of 1000 is the most there is: the model would put it first of all.",
                ),
                Option(
                    "It is not defined.",
                    "It is defined for every candidate: log2 of their number less log2 of its rank.",
                ),
            ),
        ),
        Question(
            "Half of the clients are away in every round. In which case does the shared model become worse for them?",
            (
                Option(
                    "If chance decides who is away.",
                    "Then each is there as often as the others. It takes more rounds, and nobody is forgotten.",
                ),
                Option(
                    "If the slow ones are away each time, and they hold other data.",
                    "Then their data never count. More rounds do not help: measure those who are seldom there.",
                    right=True,
                ),
                Option(
                    "In every case: half of the data are missing.",
                    "Half are missing in one round. What matters is whether it is always the same half.",
                ),
            ),
            of="03",
        ),
        Question(
            "Hospitals want the mean age of their patients, and a histogram of a blood value. Somebody proposes to "
            "train a model with FedAvg. What is better?",
            (
                Option(
                    "FedAvg, as a model hides single patients.",
                    "A model is not made to answer this, and it also tells of its rows.",
                ),
                Option(
                    "Pooled data: a mean cannot be computed from parts.",
                    "It can: from counts and sums, exactly. The mean of the hospitals' means it is not.",
                ),
                Option(
                    "Sums and counts, added up: one round, and the same result as with pooled data.",
                    "No model has to travel. Small counts tell of single patients, so those are suppressed.",
                    right=True,
                ),
            ),
            of="11",
        ),
    )
)
