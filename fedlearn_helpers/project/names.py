"""Names of folders, as they stand in tables."""


def name_as_text(name: str) -> str:
    """Return a file's name as text that can be printed, written, and is no formula of a spreadsheet.

    Names that differ stay different.
    """
    text = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name.replace("\\", "\\\\")
    )
    return f"'{text}" if text.startswith(("'", "=", "+", "-", "@")) else text
