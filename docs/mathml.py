"""A Sphinx extension: formulas as MathML, which browsers draw by themselves. MathJax would come over the network."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

_logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, for `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_converted(node, "inline"))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    # It may be wider than a phone, so it gets a box that scrolls, also with the keyboard.
    box = '<div class="formula" role="group" aria-label="Formula" tabindex="0">'
    translator.body.append(f"{box}{_converted(node, 'block')}</div>\n")
    raise nodes.SkipNode


def _converted(node: nodes.Element, display: str) -> str:
    try:
        formula = convert(node.astext().strip(), display=display)
    except Exception as error:  # the library has no common class for what it cannot read
        _logger.warning("formula %r: %r", node.astext(), error, location=node)
        return ""
    if "\\" in formula:  # a command that it does not know is left as it is
        _logger.warning("formula %r has a command that cannot be converted", node.astext(), location=node)
    return formula
