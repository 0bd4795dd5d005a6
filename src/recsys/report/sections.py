"""The sections of the page, in the order in which they are read.

A section is a function of the release and, where it compares, of the one that it replaces. What it
returns is all that its template may show. Where a release lacks what a section needs, the section
says so; nothing else on the page suffers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.report import data, games, newcomers, run, scenarios, scores, segments, users
from recsys.report.map import drawn_map
from recsys.report.missing import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsys.report.contents import Contents, View

    Builder = Callable[[Contents, Contents | None], View]


@dataclass(frozen=True)
class Section:
    """One section, ready for its template.

    Attributes
    ----------
    name
        Of the template and of the anchor.
    title, short
        Its heading, and how the table of contents calls it.
    view
        What the template shows; empty if something is missing.
    missing
        What is missing, in one sentence.
    """

    name: str
    title: str
    short: str
    view: View
    missing: str = ""


SECTIONS: tuple[tuple[str, str, str, Builder], ...] = (
    ("verdict", "Verdict", "Verdict", scores.verdict),
    ("scores", "Scores of every contender", "Scores", scores.contenders),
    ("segments", "Who is served how well", "Segments", segments.segments),
    ("changes", "What changed against the current release", "Changes", run.changes),
    ("curve", "Learning curve", "Learning", scores.curve),
    ("exposure", "Ratings, the long tail and what is shown", "Long tail", data.exposure),
    ("newcomers", "New games and new people", "Newcomers", newcomers.newcomers),
    ("scenarios", "Scenarios and their price", "Scenarios", scenarios.scenarios),
    ("resources", "Where time and memory went", "Time", run.resources),
    ("drift", "Drift of the data", "Drift", data.drift),
    ("moved", "Games whose neighbours changed most", "Neighbours", games.moved),
    ("known", "Ten well-known games and their neighbours", "Ten games", games.well_known),
    ("users", "Five users: what they liked, what they get", "Five users", users.samples),
    ("map", "Map of the best-known games", "Map", drawn_map),
    ("search", "Search of settings", "Search", scores.search),
)
"""Name, title, short title and function of each section."""


def sections(release: Contents, current: Contents | None) -> Iterator[Section]:
    """Yield every section of a page; one that lacks something says what."""
    for name, title, short, build in SECTIONS:
        try:
            yield Section(name, title, short, build(release, current))
        except Missing as missing:
            yield Section(name, title, short, {}, str(missing))
        except KeyError as error:
            # Another version wrote this release: the rest of the page is worth having all the same.
            yield Section(
                name, title, short, {}, f"This release does not say what this section shows: {error} is missing."
            )
