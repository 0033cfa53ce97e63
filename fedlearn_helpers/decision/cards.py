"""Twelve claims of the field to confirm or to refute, each with a command that ends within twenty minutes on two cores.

A card says what to look at before the command is run, and what this workbook's own runs found. Numbers in `found` are
those of the page or the run that `evidence` names: mean ± standard deviation over seeds.
"""

from dataclasses import dataclass

from fedlearn_helpers.decision.places import Place

CLAIMS = "docs/claims.md"
REPRODUCTIONS = "benchmarks/reproductions/README.md"
DATA = "docs/data.md"
THIS_COMMAND = "the command of the card"


@dataclass(frozen=True)
class Card:
    """One claim.

    Attributes:
        claim: the claim, in one sentence.
        source: authors, year and address of a text that makes it, or from which it is quoted.
        command: what to run, in the project's folder.
        minutes: after which it has ended on two cores, generously.
        metric: what to look at.
        expect: how far apart seeds lie, so that a smaller difference proves nothing.
        found: what this workbook found, and where it holds.
        evidence: where the numbers of `found` are.
        place: the section of a notebook about it.
    """

    claim: str
    source: str
    command: str
    minutes: int
    metric: str
    expect: str
    found: str
    evidence: str
    place: Place


_SMALL = "--rounds 22 --local-epochs 2 --batch-size 40 --model mlp --max-images 1500 --no-references"

CARDS = (
    Card(
        "FedProx helps where clients differ.",
        "Li et al. 2020, https://arxiv.org/abs/1812.06127",
        "fedlearn compare --strategies fedavg,fedprox --partitions iid,dirichlet:0.1 --seeds 0,1,2,3,4 "
        f"--learning-rate 0.02 {_SMALL} -s fedprox.mu=0.1 --output build/cards/fedprox",
        8,
        "test_accuracy, fedprox less fedavg, seed by seed",
        "3 points between seeds with dirichlet:0.1; the same seeds make the difference much steadier",
        "The pull alone changed nothing that can be seen: 77.0 without it, 77.0 with mu = 0.1. Partial work "
        "of slow clients, its other half, gained some 20 points over dropping them.",
        REPRODUCTIONS,
        Place("03_clients_that_come_and_go", "partial", "5. Partial work, and the pull"),
    ),
    Card(
        "SCAFFOLD needs fewer rounds than FedAvg where clients differ.",
        "Karimireddy et al. 2020, https://arxiv.org/abs/1910.06378",
        "fedlearn compare --strategies fedavg,scaffold --partitions dirichlet:0.1 --seeds 0,1,2,3,4 "
        f"--learning-rate 0.02 --fraction-train 0.3 {_SMALL} --output build/cards/scaffold",
        8,
        "test_accuracy after equally many rounds; then the same with --learning-rate 0.1 and another --output",
        "3 points between seeds, more with few clients in a round",
        "It depends on the rate. With few clients in a round, each at its own rate, it was ahead by 9.6 ± 2.6 points "
        "after as many rounds; with all of them at the largest rate it was behind by 7.6 ± 2.9. And its messages are "
        "twice as large.",
        CLAIMS,
        Place("05_strategies", "experiment", "7. The rate can decide"),
    ),
    Card(
        "More local epochs save communication.",
        "McMahan et al. 2017, https://arxiv.org/abs/1602.05629",
        "fedlearn run 07",
        12,
        "rounds and bytes until the target, by local epochs (section 3)",
        "one to two rounds between seeds",
        "Confirmed up to a point: five epochs needed 7 ± 1 rounds fewer than one. At equal work, ten epochs a round "
        "cost 23.1 ± 5.8 points more with different clients than with alike ones.",
        CLAIMS,
        Place("07_communication", "budgets", "3. Three budgets"),
    ),
    Card(
        "FedAdam beats FedAvg.",
        "Reddi et al. 2021, https://arxiv.org/abs/2003.00295",
        "fedlearn compare --strategies fedavg,fedadam --partitions iid,dirichlet:0.1 --seeds 0,1,2 "
        f"--learning-rate 0.02 {_SMALL} --output build/cards/fedadam",
        6,
        "test_accuracy; then FedAvg with --learning-rate 0.05 and 0.1: was its rate as well chosen?",
        "3 points between seeds with dirichlet:0.1",
        "At this one rate, with dirichlet:0.1 and three seeds, it was ahead: 69.6 ± 2.5 against 65.3 ± 3.3 per cent. "
        "A rate of the server is one more thing to tune, and a fair comparison tunes both.",
        THIS_COMMAND,
        Place("05_strategies", "best", "8. Each at its own rate"),
    ),
    Card(
        "Normalization that stays at home (FedBN) helps where cameras differ.",
        "Li et al. 2021, https://arxiv.org/abs/2102.07623",
        "fedlearn run 06",
        12,
        "accuracy on clients' own images, FedBN less FedAvg (section 6)",
        "3 points between seeds",
        "Confirmed: 8.7 ± 2.7 points ahead. A network without normalization layers makes it FedAvg.",
        CLAIMS,
        Place("06_personalization", "normalization", "6. Normalization that stays at home"),
    ),
    Card(
        "Plain fine-tuning beats the algorithms made for personalization.",
        "Yu et al. 2020, https://arxiv.org/abs/2002.04758; Cheng et al. 2021, https://arxiv.org/abs/2108.07313",
        "fedlearn run 06 -p methods=global,finetune,fedrep,ditto,apfl -p others= -p num_seeds=3",
        20,
        "accuracy on clients' own images, each method less fine-tuning, seed by seed (section 8)",
        "1 to 2 points between seeds",
        "Here it does, by little: with dirichlet:0.5 and three seeds fine-tuning had 80.9 per cent, APFL 80.2, Ditto "
        "78.7, FedRep 78.6, and local only 78.7; its lead over APFL and Ditto is not clear. In another setting, with "
        "dirichlet:0.1 and one seed, Ditto and FedRep were two points ahead of it (benchmarks/reproductions).",
        THIS_COMMAND,
        Place("06_personalization", "comparison", "8. When it pays, and for whom"),
    ),
    Card(
        "Secure aggregation changes nothing in the accuracy.",
        "Bonawitz et al. 2017, https://doi.org/10.1145/3133956.3133982",
        "fedlearn run 08",
        15,
        "largest difference of a weight, with and without masks (section 4)",
        "none: what is left is the rounding to whole numbers",
        "Confirmed: weights differ by less than 0.001. What it does change: the server can no longer look at single "
        "updates to find a cheat.",
        CLAIMS,
        Place("08_privacy", "secure-price", "The price, and what it does not hide"),
    ),
    Card(
        "Differential privacy for whole clients costs little accuracy.",
        "McMahan et al. 2018, https://arxiv.org/abs/1710.06963",
        "fedlearn run 08 -p noise_multiplier=2.0",
        15,
        "accuracy against epsilon, with ten clients and with a thousand (section 5)",
        "8 points between seeds with ten clients",
        "With very many clients only. At the same epsilon ten clients were 44.0 ± 8.2 points below many.",
        CLAIMS,
        Place("08_privacy", "curve", "The price"),
    ),
    Card(
        "Krum survives a fifth of the clients that flip their updates.",
        "Blanchard et al. 2017, https://arxiv.org/abs/1703.02757",
        "fedlearn run 09 -p num_clients=15 -p num_attackers=3 -p max_images=6000",
        18,
        "accuracy under sign flipping, Krum less the mean, and without an attack (sections 3 and 5)",
        "2 to 4 points between seeds with alike clients, 6 where clients differ",
        "Confirmed with alike clients: 62.5 ± 3.8 per cent under the attack and 62.5 ± 4.0 without, where the mean "
        "fell from 65.5 ± 2.2 to 6.4 ± 3.1. Where each client has few classes Krum had 20.1 ± 0.5 without any attack, "
        "and the mean 44.7 ± 3.3: it keeps one client's update and throws all others away.",
        THIS_COMMAND,
        Place("09_robustness", "table", "3. Attacks against defences"),
    ),
    Card(
        "The median is a safe choice.",
        "Yin et al. 2018, https://arxiv.org/abs/1803.01498",
        "fedlearn run 09",
        15,
        "accuracy with the median less that with the mean, without an attack, alike and different clients",
        "3 points between seeds",
        "With alike clients it saved 52.2 ± 4.3 points under sign flipping. Where each client has few classes it cost "
        "11.6 ± 2.9 points without any attack.",
        CLAIMS,
        Place("09_robustness", "differ", "5. When clients differ"),
    ),
    Card(
        "One per cent of the update, with error feedback, keeps the accuracy.",
        "Stich et al. 2018, https://arxiv.org/abs/1809.07599",
        "fedlearn run 07 -p num_seeds=5",
        18,
        "accuracy with the top 1 % up, with and without feedback, less that of whole updates (section 5)",
        "1 point between seeds",
        "Feedback gains 4.0 ± 0.9 points over the top 1 % without it. Compressing one way alone never saves half of "
        "the bytes; 2 bits a number both ways lose less than a point.",
        CLAIMS,
        Place("07_communication", "feedback", "5. What was not sent"),
    ),
    Card(
        "The federation beats centralized training, 49 per cent against 47.",
        "figures of well-known tutorials on CIFAR-10, such as those for McMahan et al. 2017, "
        "https://arxiv.org/abs/1602.05629",
        "fedlearn run 02 -p dataset=cifar10 -p max_images=10000 -p num_rounds=10 -p learning_rate=0.001",
        15,
        "three accuracies on the test images: local only, federated, centralized (section 7)",
        "1 to 2 points between seeds",
        "Refuted: the 47 is one client alone. With all 50,000 images and seed 0, local only reached 45.7 %, the "
        "federation 50.4 %, and centralized training 61.2 %. (CIFAR-10 is downloaded once.)",
        DATA,
        Place("02_federated_averaging", "lines", "7. Against the reference lines"),
    ),
)
