"""The story of one run: fetch, check, train, publish.

``python -m recsys.trainer`` is ``recsys train``.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsys.config import Settings, load_settings
from recsys.errors import DataContractError, EmptyResult, QueryFailed, RecsysError, SourceError, TruncatedResult
from recsys.marts.contract import (
    ENCODED,
    GAME_COLUMNS,
    GAME_ID,
    RATING_COLUMNS,
    USER_ID,
    ContractReport,
    Ratings,
    check_games,
    check_ratings,
)
from recsys.marts.ids import Id, IdMap
from recsys.marts.join import Meeting, join
from recsys.pipeline.run import NO_OVERRIDES, Overrides, RunResult, Status, new_run_id
from recsys.sources import Source, open_source
from recsys.sources.snowflake.credentials import variables
from recsys.system.log import events, keys
from recsys.system.pulse import progress, working
from recsys.system.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd
    import pyarrow as pa

    from recsys.config import CfSettings
    from recsys.embedding import Encoder
    from recsys.models.cf import CollaborativeFilter
    from recsys.models.content import RAGRecommender
    from recsys.pipeline.gatekeeper import Gatekeeper
    from recsys.release.manifest import Provenance
    from recsys.release.staging import Staging
    from recsys.release.store import ReleaseStore

log = events(__name__)


class Trainer:
    """Trains both models from the warehouse and publishes them as one release.

    Parameters
    ----------
    snowflake_creds
        Snowflake's identity and secrets by the names of ``SNOWFLAKE_*`` or the connector's
        (``account``, ``private_key_file``); what the environment says when not given. Other
        sources need none.
    models_output_dir
        Folder of the releases; ``v1`` in it is the current one.
    source
        An open source, which stays open, or the text of ``--source``; the settings' when not
        given.
    settings
        Read from ``recsys.toml`` and the environment when not given.
    embedding_model
        Encoder for the content model; the one of the settings when not given.
    store
        Where releases are published; one in ``models_output_dir`` when not given.
    """

    def __init__(  # noqa: PLR0913 - the contract's two, and what may be injected
        self,
        snowflake_creds: dict[str, str] | None = None,
        models_output_dir: Path | str = "models",
        *,
        source: Source | str | None = None,
        settings: Settings | None = None,
        embedding_model: Encoder | None = None,
        store: ReleaseStore | None = None,
    ) -> None:
        self.snowflake_creds = variables(os.environ) if snowflake_creds is None else snowflake_creds
        self.models_output_dir = Path(models_output_dir)
        self.settings = settings or load_settings()
        self.steps = Steps()
        self._embedding_model = embedding_model
        self._given_store = store
        if isinstance(source, str):
            # As with --source: the manifest says where the data come from, whoever named it.
            named = self.settings.source.model_copy(update={"url": source})
            self.settings = self.settings.model_copy(update={"source": named})
        self._source = None if isinstance(source, str) else source
        self._rows: dict[str, int] = {}
        self._query_ids: dict[str, str | None] = {}

    def run_pipeline(self, *, force: bool = False, overrides: Overrides = NO_OVERRIDES) -> RunResult:
        """Train both models, prove the candidate on held-out ratings, and publish both together.

        Parameters
        ----------
        force
            Train and publish also when the current release was made of the same data, settings,
            code and libraries.
        overrides
            Rules that are set aside for this run, each with the reason.

        Raises
        ------
        QualityGateFailed
            If the candidate is refused; its metrics and page are kept under ``refused``.
        RecsysError
            Whatever ends the run: see :mod:`recsys.errors`. What was current stays current.
        """
        from recsys.evaluation.embedded import Embedded
        from recsys.pipeline.publication import Content, Taste, publish
        from recsys.report import staged_page

        run_id = self._begin()
        log.info("run begins", extra=keys(run_id=run_id, output=self.models_output_dir))
        with working("run", self.steps.quiet_s), self._staging(run_id) as staging:
            encoder = self._open_encoder()
            games, ratings, report = self._fetch_and_check()
            origins = self._origins(run_id, games, ratings, encoder)
            if not staging.changes(*origins, force=force):
                return self._result("nothing new", run_id, staging.current, report)
            gate = self._gate(staging, overrides)
            catalogue = games[GAME_ID].tolist()
            data = gate.watch_drift(ratings, catalogue)
            content = self._train_content(games, encoder)
            trial = gate.prove(ratings, catalogue, Embedded.of(content, games), data)
            taste = self._train_taste(ratings, catalogue, trial.recipe)
            with self.steps.step("publish"):
                halves = Content(content, games, origins[0]), Taste(taste, origins[1], trial)
                publish(staging, *halves, self.steps, staged_page)
        return self._result("published", run_id, staging.folder.with_name(run_id), report, trial.as_json())

    def check(self) -> RunResult:
        """Fetch and check both marts; train and write nothing (``--dry-run``)."""
        run_id = self._begin()
        _, _, report = self._fetch_and_check()
        return self._result("checked", run_id, None, report)

    def train_rag_model(self, *, publish: bool = True) -> RAGRecommender:
        """Fetch the games and train the content model on all of them.

        Parameters
        ----------
        publish
            Publish it, with the other half of the current release. Where there is none yet, its
            files are written to a plain folder ``v1``, which is no release. If False, nothing is
            written.
        """
        run_id = self._begin()
        if not publish:
            encoder = self._open_encoder()
            return self._train_content(self._checked_games(), encoder)
        from recsys.pipeline import publication
        from recsys.report import staged_page

        with working("run", self.steps.quiet_s), self._staging(run_id) as staging:
            encoder = self._open_encoder()
            games = self._checked_games()
            model = self._train_content(games, encoder)
            if staging.current is None:
                publication.save_alone(self.models_output_dir, model)
            else:
                origin = self._content_origin(run_id, games, encoder)
                half = publication.Content(model, games, origin, self.settings.data.max_unknown)
                publication.publish(staging, half, None, self.steps, staged_page)
        return model

    def train_cf_model(self, *, publish: bool = True, overrides: Overrides = NO_OVERRIDES) -> CollaborativeFilter:
        """Fetch the ratings and train the collaborative filter on all of them.

        Parameters
        ----------
        publish
            As for :meth:`train_rag_model`. The games that may be recommended are those of the
            current release; where there is none, all that were rated. What is published has
            passed the gate.
        overrides
            Rules of the gate that are set aside, each with the reason.
        """
        run_id = self._begin()
        if not publish:
            return self._train_taste(self.checked_ratings())
        from recsys.pipeline import publication
        from recsys.report import staged_page

        with working("run", self.steps.quiet_s), self._staging(run_id) as staging:
            ratings = self.checked_ratings()
            if staging.current is None:
                model = self._train_taste(ratings)
                publication.save_alone(self.models_output_dir, model)
            else:
                catalogue, gate = publication.catalogue_of(staging), self._gate(staging, overrides)
                report = ContractReport()
                ratings = self._join(ratings, catalogue, report)
                report.raise_if_broken()
                trial = gate.prove(ratings, catalogue, None, gate.watch_drift(ratings, catalogue))
                model = self._train_taste(ratings, catalogue, trial.recipe)
                half = publication.Taste(model, self._cf_origin(run_id, ratings), trial)
                publication.publish(staging, None, half, self.steps, staged_page)
        return model

    def _begin(self) -> str:
        """Forget what an earlier run of this trainer measured and counted; return a name for the new one."""
        self.steps = Steps(quiet_s=self.steps.quiet_s)
        self._rows, self._query_ids = {}, {}
        return new_run_id()

    def _fetch_data(self, query: str) -> pd.DataFrame:
        """Run one query and return its rows.

        Ids of ratings are categorical, their fractions float32; column names are in upper case.

        Raises
        ------
        EmptyResult
            If there are no rows.
        SourceError
            If the source fails, or delivers fewer rows than it announced. Logged before.
        """
        import pyarrow as pa

        from recsys.marts.frames import frame_of

        with self._open_source() as source, _logged(source.name):
            result = source.execute(query)
            self._query_ids[query] = result.query_id
            schema = pa.schema([field.with_name(field.name.upper()) for field in result.schema])
            encoded = ENCODED if USER_ID in schema.names else frozenset[str]()
            with progress("fetching rows", result.rows_announced) as advance:
                frame = frame_of(schema, _reporting(result.batches, advance), encoded)
            if result.rows_announced not in {None, len(frame)}:
                raise TruncatedResult(
                    f"{source.name} announced {result.rows_announced:,} rows and sent {len(frame):,}: "
                    "the result is not complete; run again"
                )
        if frame.empty:
            raise EmptyResult(f"{source.name} answered no rows to: {query}; did the dbt run finish?")
        return frame

    @property
    def _games_query(self) -> str:
        tables = self.settings.source
        return f"SELECT {', '.join((*GAME_COLUMNS, *tables.more_game_columns))} FROM {tables.games_table}"

    @property
    def _ratings_query(self) -> str:
        tables = self.settings.source
        columns = (*RATING_COLUMNS, tables.time_column) if tables.time_column else RATING_COLUMNS
        return f"SELECT {', '.join(columns)} FROM {tables.ratings_table}"

    def _checked_games(self) -> pd.DataFrame:
        report = ContractReport()
        games = self._check_games(self._fetch_games(), report)
        report.raise_if_broken()
        return games

    def _check_games(self, fetched: pd.DataFrame, report: ContractReport) -> pd.DataFrame:
        from recsys.marts.text import tell_unread

        source = self.settings.source
        games = check_games(fetched, self.settings.data, report, source.games_table, source.more_game_columns)
        tell_unread(report.unread)
        return games

    def checked_ratings(self) -> Ratings:
        """Fetch the ratings, and check their contract; train and write nothing."""
        report = ContractReport()
        with working("check", self.steps.quiet_s):
            ratings = self._check_ratings(self._fetch_ratings(), report)
        report.raise_if_broken()
        assert ratings is not None
        return ratings

    def _check_ratings(self, fetched: pd.DataFrame, report: ContractReport) -> Ratings | None:
        source = self.settings.source
        time_column = source.time_column.upper()  # as _fetch_data names columns
        return check_ratings(fetched, self.settings.data, report, mart=source.ratings_table, time_column=time_column)

    def _fetch_games(self) -> pd.DataFrame:
        with self.steps.step("fetch_games"):
            games = self._fetch_data(self._games_query)
        self._rows["games"] = len(games)
        log.info("fetched games", extra=keys(rows=len(games), seconds=self.steps.seconds["fetch_games"]))
        return games

    def _fetch_ratings(self) -> pd.DataFrame:
        with self.steps.step("fetch_ratings"):
            ratings = self._fetch_data(self._ratings_query)
        self._rows["ratings"] = len(ratings)
        log.info("fetched ratings", extra=keys(rows=len(ratings), seconds=self.steps.seconds["fetch_ratings"]))
        return ratings

    def _fetch_and_check(self) -> tuple[pd.DataFrame, Ratings, ContractReport]:
        """Read both marts over one connection, and report every rule that either breaks at once."""
        with working("fetch", self.steps.quiet_s), self._open_source() as source:
            try:
                games = self._fetch_games()
            except (DataContractError, QueryFailed) as error:
                raise self._with_other_failure(error, source) from error
            rated = self._fetch_ratings()
        report = ContractReport()
        with self.steps.step("check"):
            games = self._check_games(games, report)
            ratings = self._check_ratings(rated, report)
            if ratings is not None and not report.violations:
                ratings = self._join(ratings, games[GAME_ID].tolist(), report)
            report.raise_if_broken()
        assert ratings is not None
        self._count(games, ratings, report)
        return games, ratings, report

    def _with_other_failure(self, error: RecsysError, source: Source) -> RecsysError:
        """Return what is wrong with the games mart, and with it what is wrong in the same way with the other one."""
        try:
            source.execute(self._ratings_query)
        except (DataContractError, QueryFailed) as other:
            return type(error)(f"{error}; and {other}")
        return error

    def _join(self, ratings: Ratings, catalogue: Iterable[Id], report: ContractReport) -> Ratings:
        source, known = self.settings.source, IdMap.of(list(catalogue))
        marts = source.games_table, source.ratings_table
        return join(ratings, known, report, self.settings.data.max_unknown, marts)

    def _count(self, games: pd.DataFrame, ratings: Ratings, report: ContractReport) -> None:
        known = IdMap.of(games[GAME_ID].tolist())
        meeting = Meeting.of(ratings.items, ratings.matrix.indices, known)
        orphans = meeting.lost_games
        counts = {"users": len(ratings.users), "rated_games": len(ratings.items)}
        self._rows.update(counts, orphan_games=len(orphans), orphan_ratings=meeting.lost_ratings)
        log.info("checked", extra=keys(**self._rows))
        if orphans:
            sample = ", ".join(map(str, orphans[:5]))
            log.warning(
                "rated games that the catalogue lacks train, but are never recommended",
                extra=keys(games=self._rows["orphan_games"], ratings=self._rows["orphan_ratings"], such_as=sample),
            )
        if report.repairs:
            log.warning("repaired", extra=keys(**{kind.replace(" ", "_"): n for kind, n in report.repairs.items()}))

    def _open_encoder(self) -> Encoder:
        """Return this run's encoder. Called before the fetch: settings that cannot be met end the run at once."""
        from recsys.embedding import open_encoder
        from recsys.embedding.plan import require_engine

        if self._embedding_model is not None:
            return self._embedding_model
        encoder = open_encoder(self.settings.content)
        require_engine(encoder.plan)
        return encoder

    def _train_content(self, games: pd.DataFrame, encoder: Encoder) -> RAGRecommender:
        from recsys.embedding.encoder import TextEncoder
        from recsys.marts.text import joined_fields
        from recsys.models.content import EMBEDDING_TEXT, RAGRecommender

        with self.steps.step("embed"):
            model = RAGRecommender(self.settings.content, encoder)
            model.fit(games.assign(**{EMBEDDING_TEXT: joined_fields(games)}))
            if isinstance(encoder, TextEncoder) and encoder is not self._embedding_model:
                encoder.unload()  # the run has no further use for hundreds of megabytes
        self._rows["vectors"] = len(model.game_ids)
        log.info("embedded", extra=keys(games=len(model.game_ids), seconds=self.steps.seconds["embed"]))
        return model

    def _train_taste(
        self, ratings: Ratings, catalogue: list[Id] | None = None, recipe: CfSettings | None = None
    ) -> CollaborativeFilter:
        from recsys.models.cf import CollaborativeFilter

        with self.steps.step("train_cf"):
            return CollaborativeFilter(recipe or self.settings.cf).fit(ratings, catalogue)

    def _gate(self, staging: Staging, overrides: Overrides) -> Gatekeeper:
        from recsys.pipeline.gatekeeper import Gatekeeper
        from recsys.report import refused_page

        return Gatekeeper(staging, self.settings, overrides, self.steps, refused_page)

    @contextmanager
    def _open_source(self) -> Iterator[Source]:
        """Yield the source; what is opened here is closed here."""
        if self._source is not None:
            yield self._source
            return
        with open_source(self.settings.source.url, self.settings, self.snowflake_creds) as source:
            log.info("opened source", extra=keys(source=source.name))
            self._source = source
            try:
                yield source
            finally:
                self._source = None

    def _staging(self, run_id: str) -> AbstractContextManager[Staging]:
        from recsys.release.store import ReleaseStore
        from recsys.report import require_extra

        require_extra()
        store = self._given_store or ReleaseStore(self.models_output_dir, keep=self.settings.release.keep)
        return store.staging(run_id)

    def _origins(
        self, run_id: str, games: pd.DataFrame, ratings: Ratings, encoder: Encoder
    ) -> tuple[Provenance, Provenance]:
        with self.steps.step("fingerprint"):
            return self._content_origin(run_id, games, encoder), self._cf_origin(run_id, ratings)

    def _content_origin(self, run_id: str, games: pd.DataFrame, encoder: Encoder) -> Provenance:
        from recsys.pipeline.publication import content_half

        return content_half(run_id, games, self.settings, encoder, self._query_ids.get(self._games_query))

    def _cf_origin(self, run_id: str, ratings: Ratings) -> Provenance:
        from recsys.pipeline.publication import cf_half

        return cf_half(run_id, ratings, self.settings, self._query_ids.get(self._ratings_query))

    def _result(
        self,
        status: Status,
        run_id: str,
        path: Path | None,
        report: ContractReport,
        trial: dict[str, Any] | None = None,
    ) -> RunResult:
        rows, steps = dict(self._rows), self.steps
        return RunResult(
            status, run_id, path, rows, dict(report.repairs), dict(steps.seconds), dict(steps.peak_mb), trial
        )


@contextmanager
def _logged(source: str) -> Iterator[None]:
    """Log a failure of the database where it happens, and pass it on."""
    try:
        yield
    except SourceError as error:
        log.error("fetch failed", extra=keys(source=source, error=type(error).__name__, reason=str(error)))  # noqa: TRY400
        raise


def _reporting(batches: Iterator[pa.RecordBatch], advance: Any) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        advance(len(batch))


if __name__ == "__main__":
    import sys

    from recsys.cli import main

    main(["train", *sys.argv[1:]])
