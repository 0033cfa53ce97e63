"""The recall questions of notebook 06."""

from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

recall = Recall(
    (
        Question(
            "With two classes a client a personalized method has 99 %, FedAvg 80 %. What is missing most, before you "
            "use it?",
            (
                Option(
                    "The bytes that each client sends",
                    "Worth knowing, but they do not say whether a client gains by joining.",
                ),
                Option(
                    "The accuracy of local only",
                    "With two easy classes a client may have 99 % by itself, too.",
                    True,
                ),
                Option("The accuracy on all ten classes", "The client does not see them; that is why it personalizes."),
            ),
        ),
        Question(
            "A fine-tuned model is better on the client's images and worse on all classes. Why?",
            (
                Option(
                    "Its learning rate was too high",
                    "It happens with small rates, too: the loss knows only this client.",
                ),
                Option(
                    "It has seen the images that it is measured on", "They are kept back; the gain is on new images."
                ),
                Option(
                    "Its loss asks only for what this client has",
                    "The classes that it hardly has pay for it; no loss holds them.",
                    True,
                ),
                Option("Averaging has undone it", "Nothing is averaged after fine-tuning."),
            ),
        ),
        Question(
            "Per-FedAvg's model is measured as it is, before any step, and is poor. What follows?",
            (
                Option("Nothing yet", "Its goal is the loss after a step, so it must be measured after one.", True),
                Option("It has not converged", "It may have: F(w) before the step is not what it minimizes."),
                Option("The Hessian should not have been left out", "With it, F(w) is not asked for either."),
            ),
        ),
        Question(
            "By section 5's step of Ditto: v = 2, gradient 1, w_t = 6, rate 0.1 and λ = 10. Where is v then?",
            (
                Option("5.9", "That is 2 − 0.1 · (1 − 40): the paper's explicit step, not section 5's."),
                Option("3.95", "(2 − 0.1 + 1 · 6) / (1 + 1) = 7.9 / 2: half of the way from 1.9 to 6.", True),
                Option("1.9", "That is λ = 0: local only, without a pull."),
                Option("6", "Only a very large λ gives w_t itself."),
            ),
        ),
        Question(
            "APFL's mixture is α v + (1 − α) w. What does α = 0 give, and what happens to v?",
            (
                Option(
                    "The global model; v stays as it is", "v's gradient has the factor α, so it does not move.", True
                ),
                Option("The global model; v trains on", "Its step has the factor α, which is 0."),
                Option("Local only", "That is the other end of the dial, α = 1."),
            ),
        ),
        Question(
            "Ten clients with few images gain 6 points over local only, ten with many gain 2; the difference has a "
            "standard error of 3 over clients. What do you report?",
            (
                Option("Those with few images gain more", "4 points are less than two errors: it may be chance."),
                Option("All gain the same", "Nor is that shown: 4 points more are as possible as none."),
                Option(
                    "The difference with its error, and no verdict",
                    "It would take more clients, or amounts that differ more, to tell.",
                    True,
                ),
            ),
        ),
        Question(
            "IFCA starts with two equal models. What happens?",
            (
                Option("Clients split at random", "Losses are equal, and every client takes the first of equals."),
                Option("All choose the same, and the other stays as it was", "So they must start different.", True),
                Option(
                    "They split after a few rounds", "The second never trains, so it only gets worse beside the first."
                ),
            ),
        ),
        Question(
            "FedRep and Ditto are compared with FedAvg after ten rounds of five epochs. What is unequal?",
            (
                Option(
                    "The bytes: both send more", "Ditto sends as much as FedAvg, FedRep less: its head stays at home."
                ),
                Option("Nothing: the rounds are equal", "Equal rounds are not equal computation."),
                Option(
                    "The passes: 6 and 10 a round instead of 5",
                    "An epoch more on the head; a second model to train.",
                    True,
                ),
                Option("The images", "Every client has the same images in all three."),
            ),
        ),
        Question(
            "Dirichlet 100 or Dirichlet 0.1: under which does a client's own model look better on its own images?",
            (
                Option(
                    "0.1: its images have few classes",
                    "The smaller α, the fewer classes a client must tell apart.",
                    True,
                ),
                Option("100: more classes to learn from", "More classes are a harder problem with the same images."),
                Option(
                    "The same: α changes only the averaging", "α decides who has which classes, before anybody trains."
                ),
            ),
            of="04",
        ),
        Question(
            "Method A is 1 point ahead of B with one seed, and 0.5 behind with another. What do you report?",
            (
                Option(
                    "A is better by a quarter of a point",
                    "The mean is right, and the sign changes: that is no verdict.",
                ),
                Option("The larger gap, since it is clearer", "Choosing the seed afterwards makes any method win."),
                Option(
                    "Both differences, and no winner", "Paired differences that change their sign decide nothing.", True
                ),
            ),
            of="05",
        ),
    )
)
