"""Formulas: what becomes MathML, what is none, and what cannot be converted."""

import re

import pytest
from formulas_in import formulas_in
from places import NOTEBOOKS

from fedlearn_helpers.errors import InputError
from workbook_tools.execution import formulas


def shown(text: str) -> str:
    """Return HTML with a sign in place of every formula: in a sentence, or on a line of its own."""
    text = re.sub(r'<span class="formula"[^>]*><math[^>]*display="block">.*?</math></span>', "▣", text)
    return re.sub(r'<math[^>]*display="inline">.*?</math>', "▢", text)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_formula_of_the_notebooks_can_be_converted(path):
    for formula in formulas_in(path):
        convert = formulas.block if formula.startswith("$$") else formulas.inline
        assert "<math" in convert(formula.strip("$")), formula


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a $x$ and $\\alpha_k$", "a ▢ and ▢"),
        ("$$\\frac12\n x$$", "▣"),
        ("\\(x\\) and \\[x\\]", "▢ and ▣"),
        ("\\begin{align}a &amp;= b \\\\ c &amp;= d\\end{align}", "▣"),
        ("<details><summary>Why $x$?</summary>", "<details><summary>Why ▢?</summary>"),  # closed by a later piece
        ("<td>$a$</td><td>$b$</td></tr>", "<td>▢</td><td>▢</td></tr>"),
        ("<b>$a &lt; b$</b>", "<b>▢</b>"),
        ("$2$, $n=3$-fold", "▢, ▢-fold"),
        # no formulas
        ("<p>between $5 and $9</p>", "<p>between $5 and $9</p>"),
        ("<td>$5</td><td>6$</td>", "<td>$5</td><td>6$</td>"),
        ("\\$x\\$", "\\$x\\$"),
        ("<code>$x$</code> <pre><b>$x$</b></pre>", "<code>$x$</code> <pre><b>$x$</b></pre>"),
        ('<img alt="$x$"/><!-- $x$ -->', '<img alt="$x$"/><!-- $x$ -->'),
        ("<script>let a = '$x$';</script>$x$", "<script>let a = '$x$';</script>▢"),
        ("<style>a[b$='c$'] {}</style>", "<style>a[b$='c$'] {}</style>"),
        ("C:\\beginning \\path", "C:\\beginning \\path"),
    ],
)
def test_formulas_in_html(text, expected):
    converted = formulas.in_html(text)
    assert shown(converted) == expected
    assert formulas.in_html(converted) == converted  # may be done twice


def test_what_stands_between_the_dollars_is_unescaped_once():
    assert formulas.in_html("$a &lt; b$") == formulas.inline("a < b")
    assert formulas.in_html("$a \\% \\{b\\}$") == formulas.inline(r"a \% \{b\}")


@pytest.mark.parametrize(
    "formula",
    [
        r"\nosuchcommand",
        r"x + \nosuch_w F",
        r"\frac{1}",
        r"{x",
        r"x}",
        r"a & b",
        r"\begin{aligned} a &= b \end{aligned}",
        r"\bm{w}",
        r"\left( x",
        r"x^2^3",
        r"\begin{cases} x",
        "",
    ],
)
@pytest.mark.parametrize("convert", [formulas.inline, formulas.block])
def test_what_cannot_be_converted_is_named(convert, formula):
    with pytest.raises(InputError, match=re.escape(f"a formula must be LaTeX that MathML has, got {formula!r}")):
        convert(formula)


def test_the_bars_of_a_norm_are_of_one_height():
    assert formulas.inline(r"\lVert w_k\rVert^2").count('<mo stretchy="false">&#x02016;</mo>') == 2
    assert formulas.inline(r"\left\lVert w_k\right\rVert^2").count('stretchy="true"') == 2


def test_a_formula_in_html_that_cannot_be_converted_is_named():
    with pytest.raises(InputError, match=r"got '\\\\nosuch < 1'"):
        formulas.in_html("<p>$x$ and $\\nosuch &lt; 1$</p>")
