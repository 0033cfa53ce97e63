"""What `test_argument_matrix.py` has found and nobody has mended yet. What is mended is to be taken out."""

REASON = "no error, or a late one, or one that does not name the argument"
GAPS: dict[str, str] = {}  # by function and argument: the kinds of wrong values, as in "none, text"
