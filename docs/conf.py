"""The pages as a site: ``make site`` builds it, and every warning is an error."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "recsys"
author = "the recsys authors"
release = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "version"
]
extensions = ["myst_parser"]
exclude_patterns = ["pictures"]
html_theme = "furo"
html_title = f"recsys {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
myst_heading_anchors = 3
myst_links_external_new_tab = False
# Blocks of what a terminal prints are no code in any language.
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]

_SOURCE = "https://github.com/recsys-releases/recsys-releases/blob/main/"
"""Where the files lie that are no page of the site."""


def _leave(_: Sphinx, __: str, content: list[str]) -> None:
    """Let links to files outside of ``docs`` lead to the repository."""
    content[0] = re.sub(r"\]\(\.\./([^)]+)\)", rf"]({_SOURCE}\1)", content[0])


def setup(app: Sphinx) -> None:
    """Hang in what changes the pages."""
    app.connect("source-read", _leave)
