"""One HTML page about a release, made from the release's own files alone."""

from recsys.report.contents import Facts
from recsys.report.page import REPORT, render_report, require_extra

__all__ = ["REPORT", "Facts", "render_report", "require_extra"]
