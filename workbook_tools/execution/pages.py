"""HTML pages that commands write."""

import html
from collections.abc import Sequence

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #1b1b1b; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .6em .8em; border-bottom: 1px solid #ccc; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def page(title: str, body: str) -> str:
    """Return a page with a heading and a body in HTML."""
    return _PAGE.format(title=html.escape(title), body=body)


def folded(lines: Sequence[str], shown: int = 6) -> str:
    """Return lines of HTML, one below the other, with all but the first ones in a fold."""
    first, others = "<br>".join(lines[:shown]), "<br>".join(lines[shown:])
    return f"{first}<details><summary>{len(lines) - shown} more</summary>{others}</details>" if others else first


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; `head` is text, the cells of `rows` are HTML."""
    titles = "".join(f'<th scope="col">{html.escape(title)}</th>' for title in head)
    lines = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"
