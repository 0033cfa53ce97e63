"""Formulas as MathML, which browsers draw by themselves: what draws LaTeX would come over the network.

For the pages of `fedlearn run` and for the site.
"""

import html
import re
from xml.etree import ElementTree

from latex2mathml.converter import convert

from fedlearn_helpers.errors import InputError, one_line

# What JupyterLab takes for formulas in HTML, but for the rule on spaces and digits around a single dollar: "$5 to $9"
# are prices. Code is left alone, and whatever stands in a tag. A formula ends before the next tag.
_WORTH_A_LOOK = re.compile(r"\$|\\[(\[b]")
_PIECES = re.compile(
    r"(?P<kept><!--.*?-->|<(?P<tag>code|math|pre|script|style|textarea)\b.*?</(?P=tag)>|<[^>]*>|\\\$)"
    r"|\$\$(?P<dollars>[^<>$]+)\$\$"
    r"|\\\[(?P<brackets>[^<>]+?)\\\]"
    r"|(?P<environment>\\begin\{(?P<name>\w+\*?)\}[^<>]*?\\end\{(?P=name)\})"
    r"|\$(?P<dollar>[^\s<>$](?:[^<>$]*[^\s<>$\\])?)\$(?!\d)"
    r"|\\\((?P<parentheses>[^<>]+?)\\\)",
    re.DOTALL | re.IGNORECASE,
)


def inline(formula: str) -> str:
    """Return a formula in LaTeX, such as "w_t", as MathML for the midst of a sentence.

    Raises:
        InputError: it cannot be converted.
    """
    return _converted(formula, "inline")


def block(formula: str) -> str:
    """Return a formula in LaTeX as MathML for a line of its own.

    It may be wider than a phone, so it gets a box (class `formula`) that scrolls, also with the keyboard. The box is
    one that may stand in a paragraph.

    Raises:
        InputError: it cannot be converted.
    """
    formula = _converted(formula, "block")
    return f'<span class="formula" role="group" aria-label="Formula" tabindex="0">{formula}</span>'


def in_html(text: str) -> str:
    """Return a piece of HTML with its formulas as MathML; it may begin or end within an element.

    Formulas stand between dollars, between backslashes with parentheses or brackets, or are environments.

    Raises:
        InputError: a formula cannot be converted.
    """
    return _PIECES.sub(_replaced, text) if _WORTH_A_LOOK.search(text) else text


def _replaced(found: re.Match[str]) -> str:
    if found["kept"] is not None:
        return found["kept"]
    in_sentence = found["dollar"] or found["parentheses"]
    on_its_own = found["dollars"] or found["brackets"] or found["environment"]
    return inline(html.unescape(in_sentence)) if in_sentence else block(html.unescape(on_its_own))


def _converted(formula: str, display: str) -> str:
    try:
        converted = convert(formula.strip(), display=display)
        fault = _fault(formula, ElementTree.fromstring(converted))
    except Exception as error:  # the library has no common class for what it cannot read
        fault = one_line(error)
    if fault is not None:
        raise InputError(f"a formula must be LaTeX that MathML has, got {formula!r}: {fault}")
    return _NORM.sub('<mo stretchy="false">', converted)


_NORM = re.compile("<mo>(?=&#x02016;)")  # the bars of a norm: in LaTeX only those after \left and \right stretch
_CHILDREN = {"mfrac": 2, "mover": 2, "mroot": 2, "msub": 2, "msubsup": 3, "msup": 2, "munder": 2, "munderover": 3}


def _fault(formula: str, converted: ElementTree.Element) -> str | None:
    """Say what the library has converted without a word, and no browser would show as it is meant."""
    unescaped = re.sub(r"\\.", "", formula)
    if unescaped.count("{") != unescaped.count("}"):
        return "a brace has no other"
    for element in converted.iter():
        name = element.tag.rpartition("}")[2]
        if "\\" in (element.text or ""):
            return f"{element.text} is not known"
        if len(element) != _CHILDREN.get(name, len(element)):
            return f"a part of <{name}> is missing"
        if element.get("mathvariant", "normal") != "normal":  # browsers draw no others any more
            return f"letters cannot be {element.get('mathvariant')}"
    return None
