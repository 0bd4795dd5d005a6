"""The story of one run: fetch, check, train, publish.

``python -m recsys.trainer`` is ``recsys train``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from recsys.config import Settings, load_settings
from recsys.marts.ids import IdMap
from recsys.pipeline.outcome import NO_OVERRIDES, Overrides, RunResult
from recsys.pipeline.reader import MartReader, Warehouse
from recsys.pipeline.run import Run
from recsys.sources.snowflake.names import variables
from recsys.system.paths import refuse_address, releases_place
from recsys.system.pulse import working
from recsys.system.steps import Steps
from recsys.tracking import trackers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from recsys.embedding import Encoder
    from recsys.marts.ratings import Ratings
    from recsys.models.cf import CollaborativeFilter
    from recsys.models.content import RAGRecommender
    from recsys.pipeline.observers import RunObserver
    from recsys.release.store import ReleaseStore
    from recsys.sources import Source


class Trainer:
    """Trains both models from the warehouse and publishes them as one release.

    Parameters
    ----------
    snowflake_creds
        Snowflake's identity and secrets by the names of ``SNOWFLAKE_*`` or the connector's
        (``account``, ``private_key_file``); what the environment says when not given. Other
        sources need none.
    models_output_dir
        Folder of the releases; ``v1`` in it is the current one. Or an address, ``s3://bucket/folder``. The settings'
        when not given.
    source
        An open source, which stays open, or the text of ``--source``; the settings' when not
        given.
    settings
        Read from ``recsys.toml`` and the environment when not given.
    embedding_model
        Encoder for the content model; the one of the settings when not given.
    store
        Where releases are published; one in ``models_output_dir`` when not given.
    observers
        The observers of each run; see :class:`recsys.pipeline.observers.RunObserver`. Those of the settings join them.

    Attributes
    ----------
    steps
        Seconds and peak memory of the latest run, by step.
    """

    def __init__(  # noqa: PLR0913 - the contract's two, and what may be injected
        self,
        snowflake_creds: dict[str, str] | None = None,
        models_output_dir: Path | str | None = None,
        *,
        source: Source | str | None = None,
        settings: Settings | None = None,
        embedding_model: Encoder | None = None,
        store: ReleaseStore | None = None,
        observers: Sequence[RunObserver] = (),
    ) -> None:
        self.snowflake_creds = variables(os.environ) if snowflake_creds is None else snowflake_creds
        self.settings = settings or load_settings()
        folder = self.settings.release.output if models_output_dir is None else models_output_dir
        self.models_output_dir = releases_place(folder)
        self.steps = Steps()
        self._embedding_model = embedding_model
        self._given_store = store
        self._observers = (*observers, *trackers(self.settings))
        if isinstance(source, str):
            refuse_address(source.removeprefix("duckdb:"), "source")
            # As with --source: the manifest says where the data come from, however it was named.
            named = self.settings.source.model_copy(update={"url": source})
            self.settings = self.settings.model_copy(update={"source": named})
        opened = None if isinstance(source, str) else source
        self._warehouse = Warehouse(self.settings, self.snowflake_creds, opened)

    def run_pipeline(self, *, force: bool = False, overrides: Overrides = NO_OVERRIDES) -> RunResult:
        """Train both models, prove the candidate on held-out ratings, and publish both together.

        Parameters
        ----------
        force
            Train and publish also when the current release was made of the same data, settings,
            code and libraries. Without it, such a run publishes nothing; where only scenarios are others, it publishes
            the same models with them.
        overrides
            Rules that are set aside for this run, each with the reason.

        Raises
        ------
        QualityGateFailed
            If the candidate is refused; its metrics and page are kept under ``refused``.
        PublishingHeld
            If somebody holds publishing; the source was not opened, unless the hold came during the run.
        RecsysError
            Whatever ends the run: see :mod:`recsys.errors`. What was current stays current.
        """
        from recsys.marts.catalogue import Catalogue
        from recsys.pipeline.proving import current_release
        from recsys.pipeline.publication import CfHalf, ContentHalf

        run, proof = self._run(overrides), None
        with run.observed(), run.staging() as staging:
            encoder = run.open_encoder(staging)
            marts = run.read_marts()
            run.check_scenarios(marts)
            provenances = run.content_provenance(marts.games, encoder), run.cf_provenance(marts.ratings)
            new = force or not staging.would_repeat(*provenances)
            if new:
                current = current_release(staging)
                data = run.check_data(marts.ratings, marts.known, current)
                content = run.train_content(marts.games, encoder)
                catalogue = Catalogue.of(marts.games, content.vectors)
                proof = run.prove(marts.ratings, marts.known, current, data, catalogue)
                run.admit(staging, proof, current)
                model = run.train_cf(marts.ratings, catalogue.game_ids, proof.recipe)
                proof = run.publish(
                    staging,
                    ContentHalf.trained(content, catalogue, provenances[0]),
                    CfHalf.trained(model, provenances[1], proof, run.reader.read_at),
                    proof,
                )
            again = not new and run.publish_again(staging)
        if not (new or again):
            return run.done("nothing new", staging.current)
        return run.done("published", staging.folder.with_name(run.run_id), proof)

    def check(self, *, force: bool = False, overrides: Overrides = NO_OVERRIDES) -> RunResult:
        """Find out what :meth:`run_pipeline` would do now; train nothing, and write nothing that stays (``--dry-run``).

        Parameters
        ----------
        force, overrides
            Those of the run.

        Returns
        -------
        RunResult
            Its ``outlook`` says whether a run would train. What the gate would say is not foretold, nor what training
            itself needs: the model, memory, room on the disk.

        Raises
        ------
        RecsysError
            What the run would end with: :class:`recsys.errors.PublishingHeld` under a hold, also where both marts
            are sound.
        """
        from recsys.pipeline.rehearsal import rehearse

        run = self._run(overrides)
        with run.observed():
            outlook = rehearse(run, force=force)
        return run.done("checked", None, outlook=outlook)

    def checked_ratings(self) -> Ratings:
        """Fetch the ratings, and check their contract; train and write nothing."""
        run = self._run()
        with working("check", self.steps.quiet_s):
            return run.reader.ratings()

    def train_rag_model(self, *, publish: bool = True) -> RAGRecommender:
        """Fetch the games and train the content model on all of them.

        Parameters
        ----------
        publish
            Publish it, with the other half of the current release. Where there is none yet, its
            files are written to a plain folder ``v1``, which is no release. If False, nothing is
            written.
        """
        from recsys.marts.catalogue import Catalogue
        from recsys.pipeline.publication import CfHalf, ContentHalf, save_alone

        run, path = self._run(), None
        with run.observed():
            if not publish:
                encoder = run.open_encoder()
                model = run.train_content(run.reader.games(), encoder)
            else:
                with run.staging() as staging:
                    encoder = run.open_encoder(staging)
                    games = run.reader.games()
                    model = run.train_content(games, encoder)
                    if staging.current is None:
                        save_alone(run.store.place, model)
                    else:
                        catalogue = Catalogue.of(games, model.vectors)
                        content = ContentHalf.trained(model, catalogue, run.content_provenance(games, encoder))
                        cf = CfHalf.carried(staging, catalogue.ids, self.settings.data.max_unknown)
                        run.publish(staging, content, cf)
                        path = staging.folder.with_name(run.run_id)
        run.done("trained" if path is None else "published", path)
        return model

    def train_cf_model(self, *, publish: bool = True, overrides: Overrides = NO_OVERRIDES) -> CollaborativeFilter:
        """Fetch the ratings and train the collaborative filter on all of them.

        Parameters
        ----------
        publish
            Publish it; see :meth:`train_rag_model`. The games that may be recommended are those of the
            current release; where there is none, all that were rated. What is published has
            passed the gate.
        overrides
            Rules of the gate that are set aside, each with the reason.
        """
        from recsys.pipeline.proving import current_release
        from recsys.pipeline.publication import CfHalf, ContentHalf, current_catalogue, save_alone

        run, path, proof = self._run(overrides), None, None
        with run.observed():
            if not publish:
                with working("check", self.steps.quiet_s):
                    ratings = run.reader.ratings()
                model = run.train_cf(ratings)
            else:
                with run.staging() as staging:
                    known = None if staging.current is None else IdMap.of(current_catalogue(staging))
                    ratings = run.reader.ratings(known)
                    if known is None:
                        model = run.train_cf(ratings)
                        save_alone(run.store.place, model)
                    else:
                        current = current_release(staging)
                        data = run.check_data(ratings, known, current)
                        proof = run.prove(ratings, known, current, data)
                        run.admit(staging, proof, current)
                        model = run.train_cf(ratings, known.ids(), proof.recipe)
                        cf = CfHalf.trained(model, run.cf_provenance(ratings), proof)
                        proof = run.publish(staging, ContentHalf.carried(staging), cf, proof)
                        path = staging.folder.with_name(run.run_id)
        run.done("trained" if path is None else "published", path, proof)
        return model

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
        return self._warehouse.fetch(query)

    def _run(self, overrides: Overrides = NO_OVERRIDES) -> Run:
        """Begin a run: with a clock and counts of its own."""
        from recsys.release.store import ReleaseStore

        self.steps = Steps(quiet_s=self.steps.quiet_s)
        reader = MartReader(self.settings, self._warehouse, self._fetch_data, self.steps)
        bounds = self.settings.release
        store = self._given_store or ReleaseStore(
            self.models_output_dir, keep=bounds.keep, max_age_days=bounds.max_age_days
        )
        return Run(self.settings, reader, store, self._embedding_model, overrides, self._observers)


if __name__ == "__main__":
    import sys

    from recsys.cli import main

    main(["train", *sys.argv[1:]])
