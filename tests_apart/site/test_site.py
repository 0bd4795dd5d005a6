"""The pages as a site: built strictly, each page reachable, each link of it leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as ``make site`` does, and return its folder."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    """And none is left out of the tables of contents: that is a warning, and so an error."""
    pages = {path.stem for path in DOCS.glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} == pages | {"genindex", "search"}


def test_every_link_leads_somewhere(site: Path) -> None:
    """To a page and a heading of the site, a picture, or a file of the repository."""
    found = 0
    for page in site.glob("*.html"):
        html = page.read_text(encoding="utf-8")
        for link in re.findall(r'(?:href|src)="([^"]+)"', html):
            path, _, anchor = unquote(link).partition("#")
            if path.startswith("https://github.com/recsys-releases/recsys-releases/blob/main/"):
                assert (ROOT / path.split("/blob/main/")[1]).exists(), (page.name, link)
            elif "://" not in path and not path.startswith(("data:", "mailto:")):
                target = (page.parent / path.partition("?")[0]) if path else page
                assert target.exists(), (page.name, link)
                if anchor and target.suffix == ".html":
                    assert f'id="{anchor}"' in target.read_text(encoding="utf-8"), (page.name, link)
            else:
                continue
            found += 1
    assert found > 500


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """Scripts, styles and pictures lie beside the pages: a reader on a closed network sees them too."""
    for page in site.glob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img)[^>]+src="(?:https?:)?//', html), page.name
        assert not re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="(?:https?:)?//', html), page.name
