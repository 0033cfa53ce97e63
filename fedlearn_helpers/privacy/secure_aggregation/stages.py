"""What server and clients of a federation say to each other: the stages of a round, and the names in messages."""

CONFIG = "secure-aggregation"  # in a message: a ConfigRecord with the stage and its data; in a client's state: secrets
STAGE, DATA, SEEDS, KEYS = "stage", "data", "seeds", "keys"  # in that record
ADVERTISE, SHARE, TRAIN, REVEAL = "advertise", "share", "train", "reveal"  # the stages
MASKED = "masked"  # in a reply: an ArrayRecord with one array, the masked vector
