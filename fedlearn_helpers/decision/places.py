"""Sections of notebooks that show what a reason says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A section of a notebook.

    Attributes:
        notebook: its name, such as "04_non_iid_data".
        cell: the id of the cell with the heading.
        heading: the heading's text.
    """

    notebook: str
    cell: str
    heading: str

    @property
    def number(self) -> str:
        """The notebook's number, such as "04"."""
        return self.notebook[:2]

    @property
    def link(self) -> str:
        """A Markdown link to it, from another notebook."""
        anchor = self.heading.replace(" ", "-")  # as JupyterLab makes anchors
        return f"[{self.number}, {self.heading}](<{self.notebook}.ipynb#{anchor}>)"


WHY = Place("00_start_here", "why", "Why the data cannot always move")
WIRE = Place("00_start_here", "wire", "2. What went over the wire")
REVEALS = Place("00_start_here", "reveals", "3. What it reveals")
KINDS = Place("00_start_here", "cross", "4. Phones or hospitals: two kinds of federation")
ALONE = Place("01_centralized_cnn", "alone", "5. One client alone")
LINES = Place("02_federated_averaging", "lines", "7. Against the reference lines")
GAIN = Place("02_federated_averaging", "per-client", "8. Does every client gain?")
AWAY = Place("03_clients_that_come_and_go", "away", "7. Away by chance, or away with the data?")
WAYS = Place("04_non_iid_data", "ways", "1. Ways to differ")
CONCEPT = Place("04_non_iid_data", "other-skews", "8. Other skews")
FINE_TUNING = Place("06_personalization", "fine-tuning", "2. Fine-tuning: the one to beat")
VILLAGE = Place("07_communication", "village", "7. A village in the hills")
SUM_ALONE = Place("08_privacy", "secure", "4. The server sees the sum alone")
SUM_PRICE = Place("08_privacy", "secure-price", "The price, and what it does not hide")
COUNT = Place("11_hospitals", "sums", "2. Statistics first")
NOISE_PRICE = Place("08_privacy", "curve", "The price")
DEFENCES = Place("09_robustness", "differ", "5. When clients differ")
CONFLICT = Place("09_robustness", "secure", "With secure aggregation: the server cannot look")
PAY = Place("09_robustness", "pay", "8. Free riders, and what to pay")
NEEDS = Place("10_deployment", "needs", "8. What a device needs")
