"""Settings: one frozen tree, each field documented right beneath it.

A value is looked up in this order: ``--set section.key=value``, the environment
(``RECSYS_CF__FACTORS=64``; a variable that is empty counts as unset), ``recsys.toml`` (tables
named like the sections), the default. Names are taken in upper and lower case.
Only ``cli`` and ``Trainer()`` read files and environment; everything else receives the section
that it needs. Identity and secrets are no settings: they come from ``SNOWFLAKE_*`` alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from recsys.cf_settings import Auto, CfSettings
from recsys.errors import ConfigError
from recsys.marts import GAME_COLUMNS, GAMES_TABLE, RATINGS_TABLE
from recsys.operation_settings import ObserverSettings, ReleaseSettings, ServingSettings
from recsys.scenario_settings import MOST_SCENARIOS, SCENARIO_NAME, ScenarioSettings
from recsys.settings_source import SettingsSource
from recsys.settings_table import Documented
from recsys.system.paths import here, refuse_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = [
    "CfSettings",
    "ContentSettings",
    "DataSettings",
    "DbtSettings",
    "EvaluationSettings",
    "GateSettings",
    "ObserverSettings",
    "ReleaseSettings",
    "Settings",
    "SnowflakeSettings",
    "SourceSettings",
    "load_settings",
    "sections",
]


_Path: TypeAlias = Annotated[str, AfterValidator(here)]

_TABLE = r"^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}$"
_COLUMN = r"^[A-Za-z_][A-Za-z0-9_$]*$"
_COLUMNS = r"^[A-Za-z_][A-Za-z0-9_$]*(\s*,\s*[A-Za-z_][A-Za-z0-9_$]*)*$"
_TAKEN = frozenset({*GAME_COLUMNS, "N_RATINGS", "TAG"})
"""Columns that query 1 and ``games.parquet`` have anyway, and what filters call a tag of any kind."""


class SourceSettings(Documented):
    """Where the two marts are read from."""

    url: str = "snowflake"
    """``snowflake``, ``sample``, ``duckdb:FILE`` or a folder; ``--source`` on the command line."""
    games_table: Annotated[str, Field(pattern=_TABLE)] = GAMES_TABLE
    """Table or view of query 1."""
    ratings_table: Annotated[str, Field(pattern=_TABLE)] = RATINGS_TABLE
    """Table or view of query 2."""
    time_column: Annotated[str, Field(pattern=rf"^$|{_COLUMN}")] = ""
    """Column of the ratings mart that says when a rating was given; it then joins query 2."""
    game_columns: Annotated[str, Field(pattern=rf"^$|{_COLUMNS}")] = ""
    """More columns of the games mart, such as ``YEAR_PUBLISHED, MIN_PLAYERS``; they then join query 1. No model
    reads them: they are in ``games.parquet``, for filters and, a year, for tables."""

    @field_validator("url")
    @classmethod
    def _is_here(cls, url: str) -> str:
        refuse_address(url.removeprefix("duckdb:"), "the source")
        return url

    @property
    def more_game_columns(self) -> tuple[str, ...]:
        """``game_columns``, one by one, in upper case as frames have them."""
        return tuple(name.strip().upper() for name in self.game_columns.split(",") if name.strip())

    @model_validator(mode="after")
    def _adds_columns(self) -> Self:
        names = self.more_game_columns
        if taken := sorted({name for name in names if name in _TAKEN or names.count(name) > 1}):
            raise ValueError(f"game_columns: {', '.join(taken)} would be there twice; name other columns, each once")
        return self


class DbtSettings(Documented):
    """What dbt says of the marts that it built; see docs/dbt.md."""

    target: _Path = ""
    """Folder ``target`` of dbt: marts that its files call broken or stale are not trained on; empty: not asked."""


class SnowflakeSettings(Documented):
    """How Snowflake is asked; who asks, and with which secret, comes from ``SNOWFLAKE_*`` alone."""

    deadline_s: Annotated[float, Field(gt=0)] = 1800.0
    """Seconds that a run may wait for Snowflake in all: signing in, both queries, every chunk."""
    login_timeout_s: Annotated[float, Field(gt=0)] = 20.0
    """Seconds that signing in may take."""
    network_timeout_s: Annotated[int, Field(ge=1)] = 600
    """Seconds that one request is retried for while it fails; a query that runs longer is cancelled."""
    statement_timeout_s: Annotated[int, Field(ge=1)] = 600
    """Seconds after which the warehouse itself cancels a query (``STATEMENT_TIMEOUT_IN_SECONDS``)."""
    query_tag: Annotated[str, Field(max_length=2000)] = "recsys"
    """``QUERY_TAG`` of every statement, to be found in the query history."""
    require_read_only: bool | Literal["warn"] = True
    """``true``: a role that can do more than read is refused; ``warn``: it is logged; ``false``: not looked at."""


class DataSettings(Documented):
    """Bounds of the data contract."""

    rating_min: float = 0.0
    """Ratings must be greater than this."""
    rating_max: float = 10.0
    """Ratings must not be greater than this."""
    min_users: Annotated[int, Field(ge=1)] = 10
    """A ratings mart with fewer users is refused."""
    min_games: Annotated[int, Field(ge=1)] = 10
    """A games mart with fewer games is refused."""
    min_ratings: Annotated[int, Field(ge=1)] = 100
    """A ratings mart with fewer rows is refused."""
    max_unknown: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the ratings that may be of games which the games mart lacks; beyond it the two marts do not meet."""

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.rating_min >= self.rating_max:
            raise ValueError(
                f"rating_min = {self.rating_min:g} and rating_max = {self.rating_max:g} leave no rating between them: "
                "rating_min must be the smaller one (0 and 10 by default)"
            )
        return self


class ContentSettings(Documented):
    """The content model: text to vectors to index."""

    model: _Path = ""
    """Folder of the sentence-transformers model; empty: hub cache, then package, then hub. Any but a BERT with
    mean pooling needs the extra ``torch``."""
    engine: Literal["auto", "torch", "openvino"] = "auto"
    """What runs the model; ``auto``: OpenVINO on a CPU where it is installed and runs the model (a BERT with
    mean pooling, as the default is), else torch (sentence-transformers; the extra ``torch``)."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the model's arithmetic; ``auto``: the current release's, else bfloat16 where this processor is fast at it
    (AMX; AMD's with AVX512-BF16); cached vectors of another are taken too. Who names one gets that alone."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``; ``auto``: a GPU where there is one, and torch for it."""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads that encode; 0 means one for each core that the process may use."""
    batch_tokens: Annotated[int, Field(ge=256)] | Auto = "auto"
    """Tokens encoded at once, padding included: bounds the memory of a batch; ``auto``: 2048 on a CPU (8 texts of
    full length), 32768 on a GPU (128 of them)."""
    cache_dir: _Path = ""
    """Folder of the vectors that were encoded before; empty: ``recsys`` below ``XDG_CACHE_HOME`` or ``~/.cache``."""
    cache_mb: Annotated[int, Field(ge=0)] = 1000
    """Bound of the cache in MB (a vector takes 1.8 kB); the least recently used go first; 0 turns it off."""


class EvaluationSettings(Documented):
    """How a candidate is scored; see docs/evaluation.md."""

    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the ratings that is held out."""
    users: Annotated[int, Field(ge=0)] = 20_000
    """Users scored at most, drawn by the hash of their ids; 0 means all."""
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Length of the lists that are scored; recall is also given at twice that."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """Of the hold-out, of the sample of users and of the resamples."""
    resamples: Annotated[int, Field(ge=100)] = 1_000
    """Bootstrap resamples of the users behind every interval."""
    newcomers: bool = True
    """Whether the hybrid is measured on games held out whole and on profiles of 1-5 games; decides nothing."""
    random_draw: bool = True
    """Whether a candidate that passed on a cut in time is also scored on a random draw; decides nothing."""
    learning_curve: bool = False
    """Whether the candidate is scored after each iteration, for the page; decides nothing."""


class GateSettings(Documented):
    """What a candidate must reach to be published, and how far the data may drift."""

    contender: str = "cf"
    """Which contender's score decides."""
    metric: Literal["ndcg", "recall", "map", "mrr", "hit_rate"] = "ndcg"
    """Which metric decides, at ``evaluation.k``."""
    max_drop: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The score may fall so far below the current release's recorded one, as a share of that."""
    margin: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Refused if surely worse than the current recipe by more than this share; a seed alone moves 0.8%."""
    segment_margin: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Refused if a segment of the users is surely served worse than by the current recipe by more; 1: never."""
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the rated games in the catalogue that must be recommended to somebody."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The score must not be lower than this; 0 means no floor."""
    popular_lately: Literal["refuse", "warn"] = "refuse"
    """Where ratings are dated: what becomes of a candidate that is not surely better than what was popular lately."""
    require_current: bool = False
    """Refuse where no release is current: for machines that should have restored ``models/``."""
    keep_refused: Annotated[int, Field(ge=0)] = 5
    """Refused candidates whose metrics and report are kept under ``models/refused``."""
    min_growth: Annotated[float, Field(ge=-1, le=0)] = -0.2
    """Ratings, users and games may shrink by this share since the current release."""
    max_growth: Annotated[float, Field(ge=0)] = 1.0
    """Ratings, users and games may grow by this share since the current release."""
    max_psi: Annotated[float, Field(gt=0)] = 0.2
    """Bound of the population stability index of the ratings' histogram."""
    max_mean_shift: Annotated[float, Field(gt=0)] = 0.5
    """The mean rating may move by this many rating points."""
    max_unknown_shift: Annotated[float, Field(gt=0, le=1)] = 0.05
    """The share of ratings on games that the catalogue lacks may rise by this much (0.05: 5 points)."""


class Settings(Documented):
    """All settings of a run."""

    source: SourceSettings = SourceSettings()
    dbt: DbtSettings = DbtSettings()
    snowflake: SnowflakeSettings = SnowflakeSettings()
    data: DataSettings = DataSettings()
    content: ContentSettings = ContentSettings()
    cf: CfSettings = CfSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    release: ReleaseSettings = ReleaseSettings()
    serving: ServingSettings = ServingSettings()
    gate: GateSettings = GateSettings()
    observers: ObserverSettings = ObserverSettings()
    scenario: dict[Annotated[str, Field(pattern=SCENARIO_NAME)], ScenarioSettings] = Field(default={})
    """By name."""

    @field_validator("scenario")
    @classmethod
    def _are_few(cls, scenarios: dict[str, ScenarioSettings]) -> dict[str, ScenarioSettings]:
        if len(scenarios) > MOST_SCENARIOS:
            raise ValueError(f"{len(scenarios)} scenarios are more than {MOST_SCENARIOS}, each of which a night scores")
        return scenarios


def sections() -> dict[str, tuple[str, ...]]:
    """Return the names of the settings of each section; of ``scenario``, those that each scenario has."""
    kinds = {name: type(field.default) for name, field in Settings.model_fields.items()}
    return {name: tuple((ScenarioSettings if kind is dict else kind).model_fields) for name, kind in kinds.items()}


def load_settings(
    config: Path | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of a run.

    Parameters
    ----------
    config
        A TOML file; ``recsys.toml`` in the working directory, if there is one, when not given.
    overrides
        ``section.key=value`` texts, strongest of all.
    environ
        The environment; ``os.environ`` when not given.

    Raises
    ------
    ConfigError
        Naming every wrong or unknown setting at once.
    """
    source = SettingsSource.read(sections(), config, overrides, os.environ if environ is None else environ)
    try:
        return Settings.model_validate(source.tables)
    except ValidationError as error:
        raise ConfigError(source.explanation(error)) from None
