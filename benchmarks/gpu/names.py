"""The ways to do the same work, as tables name them."""

LIMIT = "limit: graph of the bare step"
OURS = "this project"
EAGER = "kernel by kernel, as before"
PROCESSOR = "processor, all cores"
EQUAL_TO = {"first run": ("after other federations", "in another process")}
