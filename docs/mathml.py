"""A Sphinx extension: formulas as MathML, on pages and in the HTML that cells have left."""

from collections.abc import Callable

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

from fedlearn_helpers.errors import InputError
from workbook_tools.execution import formulas

_logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, for `html_math_renderer = "mathml"`, and what looks into HTML."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("doctree-read", _in_html)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_converted(formulas.inline, node))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f"{_converted(formulas.block, node)}\n")
    raise nodes.SkipNode


def _in_html(app: Sphinx, doctree: nodes.document) -> None:
    for node in doctree.findall(nodes.raw):
        if "html" in node["format"].split():
            node.children = [nodes.Text(_converted(formulas.in_html, node))]


def _converted(convert: Callable[[str], str], node: nodes.Element) -> str:
    try:
        return convert(node.astext())
    except InputError as error:
        _logger.warning("%s", error, location=node)  # ends the build
        return ""
