"""The pages of the service: to try a release, and to read the API. No network but this service."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files


@dataclass(frozen=True)
class Page:
    """A page and what it may run and load.

    Attributes
    ----------
    name
        Its file beside this module.
    scripts, styles
        What it may load beside what stands in it, as a policy names it; empty for nothing.
    """

    name: str
    scripts: str = ""
    styles: str = ""

    @cached_property
    def html(self) -> str:
        """What is sent."""
        return (files("recsys.service") / self.name).read_text(encoding="utf-8")

    @cached_property
    def policy(self) -> str:
        """Content security policy: nothing else runs or loads."""
        return (
            f"default-src 'none'; connect-src 'self'; img-src data:; "
            f"script-src {self.scripts}{self._hashes('script')}; "
            f"style-src {self.styles}{self._hashes('style')}; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )

    def _hashes(self, element: str) -> str:
        """Return the hashes of the page's own scripts or styles, as a policy names them."""
        contents = re.findall(rf"<{element}>(.*?)</{element}>", self.html, re.DOTALL)
        digests = (hashlib.sha256(content.encode()).digest() for content in contents)
        return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


PAGE = Page("page.html")
DOCS = Page("docs.html", scripts="'self' ", styles="'self' ")
