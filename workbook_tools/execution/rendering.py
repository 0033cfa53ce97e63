"""Notebooks as HTML pages, which need neither a kernel nor a network."""

import html
import re
from pathlib import Path

import nbformat
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import write_whole
from workbook_tools.editions.colab.link import colab_link
from workbook_tools.execution import formulas

_WIDGET = "application/vnd.jupyter.widget-view+json"
_INSTEAD = '<p class="only-live">Here are controls that work where the notebook runs.</p>'


def render(notebook: Path, page: Path) -> None:
    """Write a notebook as HTML, with links to the other pages, and to its edition for Colab (`colab_link`).

    Raises:
        InputError: a formula that cannot be converted. There is no page then, not that of an earlier run either.
    """
    content = nbformat.read(notebook, as_version=4)
    replace_widgets(content)
    try:
        _convert_formulas_of_outputs(content)
        exporter = _Exporter(raw_template=_TEMPLATE, embed_images=True)
        where = {"metadata": {"name": notebook.stem, "path": str(notebook.parent)}}
        text, _ = exporter.from_notebook_node(content, where)
    except InputError as error:
        page.unlink(missing_ok=True)
        raise InputError(f"{notebook.name}: {error}") from None
    text = text.replace(".ipynb", ".html")
    if link := colab_link(notebook.name, page.parent / "colab", "colab"):
        text = text.replace("<main>", f'<main>\n<div class="jp-RenderedHTMLCommon">{link}</div>', 1)
    write_whole(page, text)


def replace_widgets(notebook: NotebookNode) -> None:
    """Put what stands in for a widget in its place: without a kernel its controls do nothing.

    The lessons' widgets bring figures for that (`lessons/common/widgets.py`); others are replaced by a sentence.
    """
    notebook.metadata.pop("widgets", None)
    for data in _outputs(notebook):
        if data.pop(_WIDGET, None) is not None:
            data.setdefault("text/html", _INSTEAD)


def _convert_formulas_of_outputs(notebook: NotebookNode) -> None:
    for data in _outputs(notebook):
        if "text/latex" in data and "text/markdown" not in data:
            data.setdefault("text/html", html.escape(data["text/latex"]))
        if "text/html" in data:
            data["text/html"] = formulas.in_html(data["text/html"])


def _outputs(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the data of all outputs, by media type."""
    return [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]


class _Exporter(HTMLExporter):
    """nbconvert's, with formulas as MathML."""

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Convert a cell, or an output, from Markdown."""
        renderer = _Renderer(
            escape=False,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=self.embed_images,
            path=context["resources"]["metadata"]["path"],
        )
        return MarkdownWithMath(renderer=renderer).render(source)


class _Renderer(IPythonRenderer):
    def inline_math(self, body: str) -> str:
        return formulas.inline(body)

    def block_math(self, body: str) -> str:
        return formulas.block(body)

    def latex_environment(self, name: str, body: str) -> str:
        return formulas.block(rf"\begin{{{name}}}{body}\end{{{name}}}")

    def block_html(self, html: str) -> str:
        # Tag by tag: nbconvert would close at once what only a later block of HTML closes, such as <details>.
        return formulas.in_html(_IMAGE.sub(lambda found: self.inline_html(found[0]), html)) + "\n"


_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)

# Without what nbconvert's page fetches: require.js, MathJax and Mermaid. And with what it lacks for weak eyes (links
# that are not told by colour alone, dark prompts, code on white), code that is shown as code, whole words in
# what was printed, fonts for formulas where a system has them, and boxes that scroll on a narrow screen. Code that need
# not be read (the tag hide-input) is in a fold.
_TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
:root { --jp-cell-editor-background: #ffffff; }
.jp-RenderedHTMLCommon a:link, .jp-RenderedHTMLCommon a:visited { text-decoration: underline; }
.jp-InputPrompt, .jp-OutputPrompt { color: #1b1b1b !important; opacity: 1 !important; overflow: visible; }
.jp-InputArea-editor:has(> .folded-code:not([open])) { border-color: transparent; background: none; }
.colab-link { margin: 1rem 30px; }
.colab-link > a { border: 1px solid #bbbbbb; border-radius: 4px; padding: 0.15rem 0.6rem; }
.folded-code > summary { cursor: pointer; padding: 0.2rem 0.4rem; color: #555555; font: 13px var(--jp-ui-font-family); }
.jp-MarkdownOutput details { margin-bottom: 1em; }
.jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
.jp-RenderedHTML pre { font-family: var(--jp-code-font-family); font-size: var(--jp-code-font-size); line-height: 1.3; }
.formula { display: block; overflow: auto hidden; padding: 0.25rem 0; }
math { font-size: 1.15em; }
math { font-family: "STIX Two Math", "Cambria Math", "Latin Modern Math", "DejaVu Math TeX Gyre", math; }
@media (max-width: 760px) {
  .jp-OutputArea-child, .jp-OutputArea-child .jp-OutputArea-output, .jp-OutputPrompt { display: block; }
  .jp-OutputArea-child .jp-OutputArea-output { margin-left: 0; box-sizing: border-box; }
  .jp-CodeCell .jp-InputArea, .jp-CodeCell .jp-InputArea-editor { overflow: visible; }
  .jp-CodeCell .jp-Cell-inputWrapper, .jp-MarkdownOutput { overflow-x: auto; }
}
</style>
{%- endblock -%}
{%- block input -%}
{%- if "hide-input" in cell.metadata.get("tags", []) -%}
<div class="jp-CodeMirrorEditor jp-Editor jp-InputArea-editor" data-type="inline">
<details class="folded-code"><summary>code</summary>
<div class="cm-editor cm-s-jupyter">{{ cell.source | highlight_code(metadata=cell.metadata) | clean_html }}</div>
</details>
</div>
{%- else -%}
{{ super() }}
{%- endif -%}
{%- endblock -%}
"""
