"""The page itself: sections put into templates, one file that needs nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from recsys.errors import MissingExtra, ReleaseError
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import jinja2

    from recsys.report.contents import Contents, Facts

log = events(__name__)

_NEEDED = ("jinja2", "vl_convert")
_STARTED = re.compile(r"(\d{8}T\d{6})Z")


def can_render(find: Callable[[str], object] = find_spec) -> bool:
    """Return whether the packages that draw the page are installed.

    Parameters
    ----------
    find
        Returns None for a package that is not installed.
    """
    return all(find(name) is not None for name in _NEEDED)


def require_extra(find: Callable[[str], object] = find_spec) -> None:
    """Say at once, before hours of training, that no page could be made.

    Parameters
    ----------
    find
        Returns None for a package that is not installed.

    Raises
    ------
    MissingExtra
        If the packages that draw it are not installed.
    """
    if not can_render(find):
        raise MissingExtra("report", "the page of a release")


def render_report(folder: Path, current: Path | None = None, *, facts: Facts | None = None) -> bytes:
    """Make the page of a release from the release's own files.

    The page is one file: styles and charts are in it, and it holds no script; nothing is fetched
    when it is opened. Users appear under short hashes alone.

    Parameters
    ----------
    folder
        Of the release; of one in the making; or of a refused candidate, of which ``metrics.json``
        is enough. What is missing is named on the page.
    current
        Folder of the release that it replaces or replaced, for comparison. One that is not sound
        counts as none.
    facts
        What the manifest will say, where there is none yet.

    Returns
    -------
    bytes
        HTML, UTF-8. The same release gives the same page again.

    Raises
    ------
    MissingExtra
        If the packages that draw it are not installed.
    ReleaseNotFound, ArtifactCorrupt, IncompatibleArtifact
        If the release is not sound.
    """
    require_extra()
    from recsys.report.contents import read_contents
    from recsys.report.sections import sections

    release, before = read_contents(folder, facts), _before(current)
    page = (
        _environment()
        .get_template("page.html.j2")
        .render(
            release=release.facts.release,
            started=_started(release.facts.release),
            commit=release.facts.commit,
            libraries=_libraries(release),
            sections=list(sections(release, before)),
        )
    )
    return page.encode()


def _before(current: Path | None) -> Contents | None:
    from recsys.report.contents import read_contents

    if current is None:
        return None
    try:
        return read_contents(current)
    except ReleaseError as error:
        log.warning("the release before is not sound: the page compares with nothing", extra=keys(reason=error))
        return None


def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("recsys.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "count": _count,
        "fixed": _fixed,
        "percent": _percent,
        "change": _change,
        "signed": _signed,
        "told": _told,
    }
    environment.filters.update(filters)
    return environment


def _count(value: int) -> str:
    return f"{value:,}"


def _fixed(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}%"


def _change(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{_signed(100 * value, digits)}%"


def _signed(value: float, digits: int = 1) -> str:
    """Return a change with its sign; none where it rounds to nothing."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _told(value: Any) -> str:
    """Return a setting or a figure as people write it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "(empty)"


def _started(release: str) -> str | None:
    """Return when a run began, which its name says, unless somebody gave it another."""
    found = _STARTED.search(release)
    if found is None:
        return None
    moment = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _libraries(release: Contents) -> dict[str, str]:
    halves = [half for half in (release.facts.content, release.facts.cf) if half is not None]
    return {name: version for half in halves for name, version in half.libraries.items()}
