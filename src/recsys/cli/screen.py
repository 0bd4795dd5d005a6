"""What a run leaves on a terminal: what is current, how good it is in plain words, and what to try on it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.system import streams
from recsys.system.log import events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.pipeline.outcome import RunResult
    from recsys.release.metrics import Metrics

log = events(__name__)


def show(result: RunResult, models: Path | str, options: Sequence[str]) -> None:
    """Tell somebody at a terminal about the release that is current after a run; say nothing to programs.

    Parameters
    ----------
    result
        What the run did.
    models
        Folder of the releases.
    options
        What a command must be given to find that folder.
    """
    if result.path is None or not streams.is_terminal(sys.stdout) or os.environ.get("CI"):
        return
    try:
        text = _text(result.path, result.rows, models, options)
    except Exception:  # the run is over, and went well, whatever becomes of its last words
        log.debug("the last screen could not be drawn", exc_info=True)
    else:
        streams.tell(text)


def _text(release: Path, rows: dict[str, int], models: Path | str, options: Sequence[str]) -> str:
    from recsys.release.layout import METRICS, REPORT
    from recsys.release.metrics import read_metrics
    from recsys.release.pointer import LINK

    link = f"{models}/{LINK}"
    made = (
        f"A recommender for {rows['games']:,} games, learnt from {rows['ratings']:,} ratings by {rows['users']:,} "
        f"people, is in {link}."
    )
    quality = []
    if (release / METRICS).exists():
        quality += _quality(read_metrics((release / METRICS).read_bytes()))
    if (release / REPORT).exists():
        quality.append(f"Why it was published: {release / REPORT if isinstance(models, str) else f'{link}/{REPORT}'}")
    commands = [shlex.join([*arguments, *options]) for arguments in _commands(release)]
    return "\n".join(["", made, *quality, "", "Try it:", *(f"  {_program()} {command}" for command in commands)])


def _quality(metrics: Metrics) -> list[str]:
    """Say how many people the list suits, beside the best list that is the same for everybody."""
    from recsys.evaluation.contenders import LATELY, POPULARITY

    scores, k = metrics.evaluation, metrics.evaluation.k
    rates = {name: getattr(row.get(f"hit_rate@{k}"), "value", None) for name, row in scores.contenders.items()}
    reached = rates.pop(metrics.verdict.contender, None) if metrics.verdict else None
    if reached is None:
        return []
    bestsellers = [rate for name in (POPULARITY, LATELY) if (rate := rates.get(name)) is not None]
    beside = f" With a bestseller list: {max(bestsellers) * 100:.0f}." if bestsellers else ""
    found = f"{reached * 100:.0f} of 100 find a game they like among the first {k}"
    return [f"Tried on {scores.users:,} people: {found}.{beside}"]


def _commands(release: Path) -> list[list[str]]:
    """Return what to try: three commands that answer from this release."""
    from recsys.release.formats import read_games
    from recsys.release.games import N_RATINGS
    from recsys.release.layout import GAMES

    games = read_games((release / GAMES).read_bytes()).sort_by([(N_RATINGS, "descending"), ("GAME_ID", "ascending")])
    ids = {str(id_) for id_ in games["GAME_ID"].to_pylist()}
    # A name that is a number would be read as an id, and one that begins with a dash as an option.
    names = (name for name in games["NAME"].to_pylist() if name and name not in ids and name[0] != "-")
    game = next(names, games["GAME_ID"][0].as_py())
    served = all(map(find_spec, ("fastapi", "uvicorn")))
    return [["similar", f"{game}"], ["recommend", "--like", f"{game}"], ["serve" if served else "verify"]]


def _program() -> str:
    """Return how this program is called here."""
    called = Path(sys.argv[0])
    if called.suffix == ".py":  # python -m recsys, or recsys.trainer
        return f"{shlex.quote(sys.executable)} -m recsys"
    found = shutil.which("recsys")
    return "recsys" if found and called.exists() and called.samefile(found) else shlex.quote(str(called))
