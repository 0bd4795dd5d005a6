"""Whether dbt left the marts fit to train on: what its last run, its tests and its look at the sources say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.errors import ConfigError, DataContractError
from recsys.pipeline.dbt.artifacts import BUILD, FRESHNESS, Thresholds, read_manifest, read_run_results, read_sources
from recsys.pipeline.dbt.lineage import Lineage, is_test, mart_node
from recsys.system import events, keys
from recsys.system.paths import local_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from recsys.pipeline.dbt.artifacts import Manifest, RunResults, SourceResult

log = events(__name__)

_BUILDS = frozenset({"build", "run"})
"""Commands that build; ``dbt compile`` and ``dbt docs generate`` call each node a success, too."""
_FINE = frozenset({"success", "pass", "no-op"})
_WARNED = "warn"
_SKIPPED = "skipped"
_SHOWN = 10
_LONGEST = 200


@dataclass(frozen=True)
class DbtBuild:
    """The run of dbt that built the marts, by its own name.

    Attributes
    ----------
    invocation_id, generated_at
        As in ``run_results.json``.
    command
        ``build`` or ``run``.
    nodes, tests, sources
        How many that concern the marts it says something of.
    left_out
        Nodes above the marts that it did not build: they are what an earlier command made of them.
    """

    invocation_id: str
    generated_at: str
    command: str
    nodes: int
    tests: int
    sources: int
    left_out: int


@dataclass(frozen=True)
class _Said:
    """What dbt says of one node."""

    name: str
    status: str
    message: str

    def __str__(self) -> str:
        text = " ".join(self.message.split())
        short = f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text
        return f"{self.name} ({self.status}){f': {short}' if short else ''}"


def check_upstream(target: str, tables: Sequence[str]) -> DbtBuild:
    """Hold the last run of dbt against the marts; what it warned of is logged.

    Parameters
    ----------
    target
        Folder of dbt's artifacts.
    tables
        The marts, as the settings name them.

    Raises
    ------
    ConfigError
        If a file is missing or is not dbt's, no node builds a mart, or the last command did not build both.
    DataContractError
        If what a mart is made of, or a test of it, failed or was skipped, or a source is stale; it names them.
    """
    folder = local_path(target, "dbt.target")
    manifest, run = read_manifest(folder), read_run_results(folder)
    marts = {table: mart_node(manifest, table) for table in tables}
    _require_built(run, marts, folder)
    lineage = Lineage.of(manifest, marts.values())
    built = [
        _Said(each.unique_id, each.status, each.message or "")
        for each in run.results
        if lineage.concerns(each.unique_id)
    ]
    looked_at = _freshness(folder, manifest, lineage)
    refused = [each for each in (*built, *looked_at) if each.status not in _FINE | {_WARNED}]
    if refused:
        # First what failed, then what was skipped for it.
        refused.sort(key=lambda each: each.status == _SKIPPED)
        raise DataContractError(
            f"dbt did not leave the marts fit to train on: {_listed(refused)}. Nothing was fetched: mend that, and run"
            f" dbt again ({folder}, invocation {run.metadata.invocation_id})"
        )
    if warned := [each for each in (*built, *looked_at) if each.status == _WARNED]:
        log.warning("dbt warned of what the marts are made of", extra=keys(nodes=len(warned), which=_listed(warned)))
    build = _told(run, [each.name for each in built], len(looked_at), lineage.tables)
    log.info("dbt built the marts", extra=keys(**vars(build)))
    return build


def _told(run: RunResults, named: Sequence[str], sources: int, tables: frozenset[str]) -> DbtBuild:
    tests = sum(map(is_test, named))
    counts = len(named) - tests, tests, sources, len(tables - set(named))
    return DbtBuild(run.metadata.invocation_id, run.metadata.generated_at, run.args.which, *counts)


def _require_built(run: RunResults, marts: Mapping[str, str], folder: Path) -> None:
    """Refuse results of a run that did not build the marts: dbt keeps those of its last command alone."""
    named = {each.unique_id for each in run.results}
    absent = [f"{table} ({node})" for table, node in marts.items() if node not in named]
    if run.args.which not in _BUILDS:
        absent = ["anything"]
    if absent:
        results = folder / "run_results.json"
        raise ConfigError(
            f"dbt.target: {results} tells of dbt's last command, 'dbt {run.args.which}', which did not build"
            f" {' or '.join(absent)}; let '{BUILD}', of both marts and all above them, be the last before recsys"
        )


def _freshness(folder: Path, manifest: Manifest, lineage: Lineage) -> list[_Said]:
    """Return how old the sources of the marts are, those that dbt is told to look at."""
    timed = sorted(name for name, source in manifest.sources.items() if source.freshness and name in lineage.upstream)
    if not timed:
        return []
    found = {each.unique_id: each for each in read_sources(folder).results}
    return [_looked_at(name, found.get(name)) for name in timed]


def _looked_at(name: str, found: SourceResult | None) -> _Said:
    """Return what is said of a source; dbt leaves out those at which its question failed."""
    if found is None:
        return _Said(name, "not looked at", f"'{FRESHNESS}' failed there, or was told to look at others alone")
    if found.max_loaded_at is None:
        return _Said(name, found.status, found.error or "")
    limits = found.criteria or Thresholds()
    limit = limits.warn_after if found.status == _WARNED else limits.error_after
    bound = "" if limit is None else f", and the limit is {limit.count} {limit.period}s"
    return _Said(name, found.status, f"its newest row was loaded at {found.max_loaded_at}{bound}")


def _listed(said: Sequence[_Said]) -> str:
    more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return f"{'; '.join(map(str, said[:_SHOWN]))}{more}"
