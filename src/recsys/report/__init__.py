"""One HTML page about a release, and its model card, made from the release's own files alone."""

from recsys.report.card import model_card
from recsys.report.contents import Facts
from recsys.report.page import can_render, render_report, require_extra
from recsys.report.staged import refused_page, staged_page

__all__ = ["Facts", "can_render", "model_card", "refused_page", "render_report", "require_extra", "staged_page"]
