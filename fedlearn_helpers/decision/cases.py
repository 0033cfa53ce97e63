"""Cases: a project, the answers that its source gives or implies, and the verdict that it came to or should come to.

Where a source does not answer a question in so many words, the answer is our reading of it. Cases without a project
of their own (`real` is False) are made up to show one rule, and name a text that argues for it.
"""

from dataclasses import dataclass

from fedlearn_helpers.decision.decide import CENTRALIZE, DEVICE, LOCAL, NOT_YET, SILO, STATISTICS
from fedlearn_helpers.decision.questions import QUESTIONS


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: a few words.
        told: what it is about, in a sentence or two.
        answers: one for each question.
        verdict: what is right here, by the source.
        source: authors, year, title and address.
        real: whether there was such a project.
    """

    name: str
    told: str
    answers: dict[str, str]
    verdict: str
    source: str
    real: bool = True


def _answers(text: str) -> dict[str, str]:
    """Read the ten answers in the order of the questions."""
    return dict(zip((question.name for question in QUESTIONS), text.split(), strict=True))


#         wanted     right     clients alone  alike  labels  network compute trust  gain
CASES = (
    Case(
        "The next word on a keyboard",
        "Phones learn which word comes next. What people type stays on the phone, and the next word is the label.",
        _answers("model in-place many short differ natural models device not-server shared"),
        DEVICE,
        "Hard et al. (2018): Federated Learning for Mobile Keyboard Prediction, https://arxiv.org/abs/1811.03604",
    ),
    Case(
        "A personal assistant that is tuned on phones",
        "Phones evaluate and tune settings of an assistant on what they heard, on their own, now and then.",
        _answers("model in-place many short differ natural models device not-server shared"),
        DEVICE,
        "Paulik et al. (2021): Federated Evaluation and Tuning for On-Device Personalization: System Design & "
        "Applications, https://arxiv.org/abs/2102.08503",
    ),
    Case(
        "A rare brain tumour in 71 hospitals",
        "Hospitals on six continents learn to draw the border of a rare tumour, with few patients each.",
        _answers("model in-place few short differ made models server all shared"),
        SILO,
        "Pati et al. (2022): Federated learning enables big data for rare cancer boundary detection, "
        "https://doi.org/10.1038/s41467-022-33407-5",
    ),
    Case(
        "Oxygen for patients with COVID-19",
        "Twenty institutes predict how much oxygen a patient will need, from an X-ray and other values.",
        _answers("model in-place few short differ natural models server all shared"),
        SILO,
        "Dayan et al. (2021): Federated learning for predicting clinical outcomes in patients with COVID-19, "
        "https://doi.org/10.1038/s41591-021-01506-3",
    ),
    Case(
        "Drug discovery among ten rivals",
        "Ten pharmaceutical companies share the body of a model of molecules. Results stay secret, there too.",
        _answers("model in-place few short differ natural models server not-server uneven"),
        SILO,
        "Heyndrickx et al. (2023): MELLODDY: Cross-pharma Federated Learning at Unprecedented Scale, "
        "https://doi.org/10.1021/acs.jcim.3c00799",
    ),
    Case(
        "Credit-card fraud in several banks",
        "Fraud is rare in each bank, and transactions may not leave it. A rival might send anything.",
        _answers("model in-place few short differ natural models server not-clients shared"),
        SILO,
        "Yang et al. (2019): FFD: A Federated Learning Based Method for Credit Card Fraud Detection, "
        "https://doi.org/10.1007/978-3-030-23551-2_2",
    ),
    Case(
        "Bearings of a wind farm",
        "Turbines of one type learn what temperature is normal. New turbines have few data, turbines differ, and "
        "manufacturers keep the data to themselves.",
        _answers("model in-place few short differ natural models device all shared"),
        SILO,
        "Jenkel, Jonas and Meyer (2023): Privacy-Preserving Fleet-Wide Learning of Wind Turbine Conditions with "
        "Federated Learning, https://doi.org/10.3390/en16176377",
    ),
    Case(
        "Popular emoji",
        "How often each emoji is used on phones, by country.",
        _answers("statistics in-place many short differ natural models device not-server shared"),
        STATISTICS,
        "Differential Privacy Team, Apple (2017): Learning with Privacy at Scale, "
        "https://machinelearning.apple.com/research/learning-with-privacy-at-scale",
    ),
    Case(
        "Who dies of COVID-19",
        "The records of family doctors stay with the vendors of their software. Analyses go there, tables come back.",
        _answers("statistics in-place two short alike natural models server all shared"),
        STATISTICS,
        "Williamson et al. (2020): Factors associated with COVID-19-related death using OpenSAFELY, "
        "https://doi.org/10.1038/s41586-020-2521-4",
    ),
    Case(
        "A chain of shops with one owner",
        "Sales of every shop are in the owner's data centre every night.",
        _answers("model pooled few short differ natural data server all shared"),
        CENTRALIZE,
        "Kairouz et al. (2021): Advances and Open Problems in Federated Learning, table 1 (distributed learning in a "
        "data centre), https://arxiv.org/abs/1912.04977",
        real=False,
    ),
    Case(
        "Three clinics that may pool",
        "Patients have agreed, the ethics boards too, and the images fit on a disk.",
        _answers("model pooled few short differ made data server all shared"),
        CENTRALIZE,
        "Sheller et al. (2020): Federated learning in medicine: facilitating multi-institutional collaborations "
        "without sharing patient data (pooled data are the line that it comes near to), "
        "https://doi.org/10.1038/s41598-020-69250-1",
        real=False,
    ),
    Case(
        "Cars that may send all, and cannot",
        "The owner of a fleet may hold the video of every car; the radio carries a model, and no video.",
        _answers("model pooled many short differ natural models device all shared"),
        DEVICE,
        "Kairouz et al. (2021): Advances and Open Problems in Federated Learning, section 1.1 (communication as the "
        "bottleneck), https://arxiv.org/abs/1912.04977",
        real=False,
    ),
    Case(
        "A village with a connection every three days",
        "Forty stations measure in the hills. A box with a solar panel trains; a messenger comes by.",
        _answers("model in-place few short differ natural hardly device all shared"),
        SILO,
        "McMahan et al. (2017): Communication-Efficient Learning of Deep Networks from Decentralized Data (many local "
        "steps, few rounds), https://arxiv.org/abs/1602.05629",
        real=False,
    ),
    Case(
        "A party that does well alone",
        "A large hospital reaches what it needs with its own patients.",
        _answers("model in-place few enough differ made models server all uneven"),
        LOCAL,
        "Yu, Bagdasaryan and Shmatikov (2020): Salvaging Federated Learning by Local Adaptation (many gain "
        "nothing by taking part), https://arxiv.org/abs/2002.04758",
        real=False,
    ),
    Case(
        "Tastes that contradict each other",
        "The same film is loved in one club and hated in the next, and the model is not told which club it is.",
        _answers("model in-place few short contradict natural models server all shared"),
        LOCAL,
        "Ghosh et al. (2020): An Efficient Framework for Clustered Federated Learning, "
        "https://arxiv.org/abs/2006.04088",
        real=False,
    ),
    Case(
        "Nobody has measured one party alone",
        "Six plants want to federate because it is said to be better.",
        _answers("model in-place few unmeasured differ made models server all shared"),
        NOT_YET,
        "Yu, Bagdasaryan and Shmatikov (2020): Salvaging Federated Learning by Local Adaptation, "
        "https://arxiv.org/abs/2002.04758",
        real=False,
    ),
    Case(
        "Nobody has asked the patients",
        "Data stay in the hospitals, so no agreement is thought to be needed.",
        _answers("model unsettled few short differ made models server all shared"),
        NOT_YET,
        "Truong et al. (2021): Privacy preservation in federated learning: An insightful survey from the GDPR "
        "perspective, https://arxiv.org/abs/2011.05411",
        real=False,
    ),
    Case(
        "Every site draws the border differently",
        "Five sites have scans, and five habits of marking them.",
        _answers("model in-place few short differ missing models server all shared"),
        NOT_YET,
        "Rieke et al. (2020): The future of digital health with federated learning, https://arxiv.org/abs/2003.08119",
        real=False,
    ),
    Case(
        "Sensors that cannot train",
        "Meters with a few kilobytes of memory measure and send.",
        _answers("model in-place many short alike natural models none all shared"),
        NOT_YET,
        "Lin et al. (2022): On-Device Training Under 256KB Memory, https://arxiv.org/abs/2206.15472",
        real=False,
    ),
    Case(
        "Work for somebody else's model",
        "A platform asks firms for updates, and sells the model.",
        _answers("model in-place few short alike natural models server all others"),
        NOT_YET,
        "Kang et al. (2019): Incentive Design for Efficient Federated Learning in Mobile Networks: A Contract Theory "
        "Approach, https://arxiv.org/abs/1905.07479",
        real=False,
    ),
    Case(
        "Two hospitals and a secret",
        "Two hospitals, and neither may learn the other's update.",
        _answers("model in-place two short differ made models server not-server shared"),
        NOT_YET,
        "Bonawitz et al. (2017): Practical Secure Aggregation for Privacy-Preserving Machine Learning (the sum is "
        "seen), https://doi.org/10.1145/3133956.3133982",
        real=False,
    ),
    Case(
        "Nobody trusts anybody",
        "No update may be seen, and some parties might cheat.",
        _answers("model in-place few short alike natural models server neither shared"),
        NOT_YET,
        "So, Guler and Avestimehr (2020): Byzantine-Resilient Secure Federated Learning (what it takes to have both), "
        "https://arxiv.org/abs/2007.11115",
        real=False,
    ),
)
