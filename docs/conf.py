"""How Sphinx builds the site; make_site.py calls it, and says where the pages are and what to put into them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for mathml.py and links.py

project = "Federated Learning Workbook"
author = "The Federated Learning Workbook authors"
copyright = f"2026 {author}"
extensions = ["myst_nb", "mathml"]

_ALONE = sorted({path.stem for path in Path(__file__).parent.glob("*.md")} - {"contents"})  # pages with no menu beside

nb_execution_mode = "off"  # the notebooks come executed
nb_code_prompt_show = nb_code_prompt_hide = "code"  # the name of the fold of a cell tagged hide-input
nb_render_markdown_format = "myst"  # cells display Markdown with links to notebooks
myst_enable_extensions = ["amsmath", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_heading_slug_func = "links.anchor_of"

# The glossary goes from its title to terms as small headings; nothing is lost by the level between.
suppress_warnings = ["myst.header"]
nitpicky = True

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = [str(Path(__file__).parent / "_static")]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark as the reader's system says, until the reader chooses
html_math_renderer = "mathml"
html_use_index = False
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # would fetch whole pages, with their figures, for a line of each
html_sidebars = {page: [] for page in (*_ALONE, "notebooks/glossary", "search")}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 4,
    "header_dropdown_text": "Handbook",
    "navigation_with_keys": False,
    "show_prev_next": False,  # every notebook ends in its own links
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
