"""MLflow: a run for each night, and a version of a registered model for each release."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from recsys.errors import ConfigError, MissingExtra
from recsys.pipeline.observers import RunObserver
from recsys.report import model_card
from recsys.tracking.told import Told, scores

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow.tracking import MlflowClient

    from recsys.pipeline.outcome import Failure, RunResult

URI = "MLFLOW_TRACKING_URI"
ALIAS = "current"
"""Alias of the version whose release a night published last."""
ARTIFACT = "release"
"""Where a run's files lie, and what the version's source is."""

_BATCH = 100
"""Parameters and tags that MLflow takes at once."""
_LONGEST = 5000
"""Characters of a value."""


class MlflowRun(RunObserver):
    """Writes each night as a run of MLflow, and each release as a version of a registered model.

    Parameters
    ----------
    experiment
        Its experiment; made where there is none.
    model
        The registered model; made where there is none.

    Raises
    ------
    MissingExtra
        If the extra ``trackers`` is not installed.
    ConfigError
        If ``MLFLOW_TRACKING_URI`` names no server.
    """

    def __init__(self, experiment: str, model: str) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise MissingExtra("trackers", "observers.mlflow_experiment") from error
        if not os.environ.get(URI):
            raise ConfigError(f"observers.mlflow_experiment is {experiment!r}, and {URI} names no server: set it")
        # A server that is away must not be waited for: the client itself would try for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # stdout is for the command's own answer
        self._experiment, self._model = experiment, model
        self._client: MlflowClient = MlflowClient()
        self._run: str | None = None
        self._store = ""

    def began(self, run_id: str, output: Path | str) -> None:
        """Begin a run."""
        self._store = str(output)
        experiment = self._client.get_experiment_by_name(self._experiment)
        number = self._client.create_experiment(self._experiment) if experiment is None else experiment.experiment_id
        tags = {"recsys.run": run_id, "recsys.store": self._store}
        self._run = self._client.create_run(number, run_name=run_id, tags=tags).info.run_id

    def step(self, name: str, seconds: float, peak_mb: float) -> None:
        """Write what a step took."""
        self._write(metrics={f"seconds/{name}": seconds, f"peak_mb/{name}": peak_mb})

    def judged(self, metrics: dict[str, object]) -> None:
        """Write the scores of all contenders."""
        self._write(metrics=scores(metrics))

    def published(self, result: RunResult) -> None:
        """Write settings, tags and files of the release, and register it."""
        if self._run is None or result.path is None:
            return
        told = Told.of(result.path)
        release = {
            "recsys.release": told.manifest.release,
            "recsys.digest": told.digest,
            "recsys.store": self._store,
            "recsys.sequence": str(told.manifest.sequence),
        }
        said = {"recsys.status": "published", "mlflow.note.content": result.headline}
        self._write(params=told.settings(), tags={**release, **said})
        for file in told.files:
            self._client.log_artifact(self._run, str(file), ARTIFACT)
        self._client.log_text(self._run, model_card(told.manifest, told.metrics), f"{ARTIFACT}/README.md")
        self._register(release)
        self._end("FINISHED")

    def _register(self, tags: dict[str, str]) -> None:
        from mlflow.exceptions import MlflowException

        assert self._run is not None
        source = f"{self._client.get_run(self._run).info.artifact_uri}/{ARTIFACT}"
        try:
            self._client.create_registered_model(self._model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = self._client.create_model_version(self._model, source, self._run, tags=tags, await_creation_for=0)
        self._client.set_registered_model_alias(self._model, ALIAS, version.version)

    def ended(self, result: RunResult) -> None:
        """Say that there was nothing to publish."""
        self._write(tags={"recsys.status": result.status})
        self._end("FINISHED")

    def refused(self, failure: Failure) -> None:
        """Say why the candidate was refused: a night that did its work."""
        self._write(tags={"recsys.status": "refused", "recsys.message": failure.message})
        self._end("FINISHED")

    def failed(self, failure: Failure) -> None:
        """Say why the run failed."""
        tags = {"recsys.status": failure.kind, "recsys.message": failure.message}
        self._write(tags={**tags, "recsys.exit_code": str(failure.exit_code)})
        self._end("FAILED")

    def _write(
        self,
        *,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        if self._run is None:  # it did not begin, which was said
            return
        now = int(time.time() * 1000)
        self._client.log_batch(
            self._run,
            metrics=[Metric(name, value, now, 0) for name, value in (metrics or {}).items()],
            tags=[RunTag(name, value[:_LONGEST]) for name, value in (tags or {}).items()],
        )
        named: list[Any] = [Param(name, value[:_LONGEST]) for name, value in (params or {}).items()]
        for first in range(0, len(named), _BATCH):
            self._client.log_batch(self._run, params=named[first : first + _BATCH])

    def _end(self, status: str) -> None:
        if self._run is not None:
            self._client.set_terminated(self._run, status)
            self._run = None
