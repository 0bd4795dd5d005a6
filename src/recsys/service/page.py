"""The page to try a release with: one file, no network but this service."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

PAGE = (files("recsys.service") / "page.html").read_text(encoding="utf-8")


def _hashes(element: str) -> str:
    """Return the hashes of the page's own scripts or styles, as a policy names them."""
    contents = re.findall(rf"<{element}>(.*?)</{element}>", PAGE, re.DOTALL)
    digests = (hashlib.sha256(content.encode()).digest() for content in contents)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


POLICY = (
    f"default-src 'none'; connect-src 'self'; img-src data:; script-src {_hashes('script')}; "
    f"style-src {_hashes('style')}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy: nothing runs or loads but what stands in the page."""
