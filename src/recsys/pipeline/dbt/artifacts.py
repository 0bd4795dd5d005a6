"""The three files of dbt's target folder, as far as they concern the marts: manifest, run results, source freshness.

Their formats grow with dbt's versions; what is read here has had these names since manifest v4, run results v4 and
sources v3. Everything else in them is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

BUILD = "dbt build"
"""The command that leaves ``manifest.json`` and ``run_results.json``."""
FRESHNESS = "dbt source freshness"
"""The command that leaves ``sources.json``."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Node(_Record):
    """Something that dbt builds or tests, and where; a test may stand at another node."""

    database: str | None = None
    schema_name: str | None = Field(default=None, alias="schema")
    alias: str | None = None
    relation_name: str | None = None
    attached_node: str | None = None


class Period(_Record):
    """An age; without a count it is none."""

    count: int | None = None
    period: str | None = None


class Thresholds(_Record):
    """From which age on the rows of a source are old."""

    warn_after: Period | None = None
    error_after: Period | None = None

    def __bool__(self) -> bool:
        return any(period and period.count is not None for period in (self.warn_after, self.error_after))


class RawTable(_Record):
    """A table that dbt reads and does not build: what it calls a source."""

    freshness: Thresholds | None = None


class Manifest(_Record):
    """``manifest.json``: what there is, and what each thing is made of."""

    nodes: dict[str, Node]
    sources: dict[str, RawTable]
    parent_map: dict[str, tuple[str, ...]]


class Invocation(_Record):
    """One run of dbt."""

    invocation_id: str
    generated_at: str


class Arguments(_Record):
    """How dbt was called."""

    which: str


class NodeResult(_Record):
    """How one node of a run ended."""

    unique_id: str
    status: str
    message: str | None = None


class RunResults(_Record):
    """``run_results.json``: how the nodes of the last command ended."""

    metadata: Invocation
    args: Arguments
    results: tuple[NodeResult, ...]


class SourceResult(_Record):
    """How old a source was found to be."""

    unique_id: str
    status: str
    max_loaded_at: str | None = None
    criteria: Thresholds | None = None
    error: str | None = None


class SourceResults(_Record):
    """``sources.json``: how old the sources were when they were last looked at."""

    results: tuple[SourceResult, ...]


RecordT = TypeVar("RecordT", bound=_Record)


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json``; fails as :func:`read_sources` does."""
    return _read(folder / "manifest.json", Manifest, BUILD)


def read_run_results(folder: Path) -> RunResults:
    """Read ``run_results.json``; fails as :func:`read_sources` does."""
    return _read(folder / "run_results.json", RunResults, BUILD)


def read_sources(folder: Path) -> SourceResults:
    """Read ``sources.json``.

    Raises
    ------
    ConfigError
        If the file is missing, cannot be read, or is not what dbt writes; it says what to run.
    """
    return _read(folder / "sources.json", SourceResults, FRESHNESS)


def _read(path: Path, kind: type[RecordT], command: str) -> RecordT:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"dbt.target: there is no {path}, which '{command}' writes; run it before recsys, or name the target folder"
            " of the dbt project that builds the marts"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"dbt.target: {path} cannot be read ({error.strerror}); mend that, or run '{command}'"
        ) from None
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, wrong["loc"])) or "the file"
        raise ConfigError(
            f"dbt.target: {path} is not what dbt writes: {place}: {wrong['msg']}; was dbt ended in mid-write? run"
            f" '{command}' again"
        ) from None
