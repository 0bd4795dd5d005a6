"""OpenLineage: what a night read and what it made, as events for a catalogue of data."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from recsys import DISTRIBUTION, __version__
from recsys.errors import MissingExtra
from recsys.marts import GAME_COLUMNS, RATING_COLUMNS
from recsys.pipeline.observers import RunObserver
from recsys.tracking.told import Told

if TYPE_CHECKING:
    from pathlib import Path

    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent

    from recsys.config import Settings
    from recsys.pipeline.outcome import Failure, RunResult

JOB = "recsys train"
PRODUCER = f"https://pypi.org/project/{DISTRIBUTION}/{__version__}"


class LineageEvents(RunObserver):
    """Writes an event of OpenLineage when a run begins, and one when it ends.

    Where they go, the client's own variables or ``openlineage.yml`` say, such as a file.

    Parameters
    ----------
    namespace
        Namespace of the job.
    settings
        Name the marts.

    Raises
    ------
    MissingExtra
        If the extra ``trackers`` is not installed.
    """

    def __init__(self, namespace: str, settings: Settings) -> None:
        try:
            from openlineage.client import OpenLineageClient
        except ImportError as error:
            raise MissingExtra("trackers", "observers.lineage_namespace") from error
        self._client = OpenLineageClient()
        self._namespace, self._source = namespace, settings.source
        self._run, self._store = "", ""

    def began(self, run_id: str, output: Path | str) -> None:
        """Tell that a run begins, and from which marts it reads."""
        # The events of one run share an id, which has to be a UUID.
        self._run, self._store = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{PRODUCER}#{run_id}")), str(output)
        self._emit("START", inputs=self._inputs({}))

    def published(self, result: RunResult) -> None:
        """Tell what was read and made: rows, columns, queries, and the release as a version of the dataset."""
        self._emit("COMPLETE", inputs=self._inputs(result.rows), **self._made(result))

    def ended(self, result: RunResult) -> None:
        """Tell what was read; nothing was made."""
        self._emit("COMPLETE", inputs=self._inputs(result.rows))

    def refused(self, failure: Failure) -> None:
        """Tell that nothing was made, and why."""
        self.failed(failure)

    def failed(self, failure: Failure) -> None:
        """Tell that the run failed, and why."""
        from openlineage.client.facet_v2 import error_message_run

        error = error_message_run.ErrorMessageRunFacet(message=failure.message, programmingLanguage="python")
        self._emit("FAIL", inputs=self._inputs({}), run_facets={"errorMessage": error})

    def _inputs(self, rows: dict[str, int]) -> list[InputDataset]:
        from openlineage.client.event_v2 import InputDataset
        from openlineage.client.facet_v2 import data_quality_metrics_input_dataset, schema_dataset

        more = tuple(name.strip() for name in self._source.game_columns.split(",") if name.strip())
        when = (self._source.time_column,) if self._source.time_column else ()
        marts = {
            "games": (self._source.games_table, (*GAME_COLUMNS, *more)),
            "ratings": (self._source.ratings_table, (*RATING_COLUMNS, *when)),
        }
        read = []
        for name, (table, columns) in marts.items():
            fields = [schema_dataset.SchemaDatasetFacetFields(name=column) for column in columns]
            counted: dict[str, Any] = {}
            if name in rows:
                quality = data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet
                counted["dataQualityMetrics"] = quality(columnMetrics={}, rowCount=rows[name])
            facets = {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}
            read.append(InputDataset(self._source.url, table, facets=facets, inputFacets=counted))
        return read

    def _made(self, result: RunResult) -> dict[str, Any]:
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import (
            dataset_version_dataset,
            external_query_run,
            output_statistics_output_dataset,
        )

        if result.path is None:
            return {}
        manifest = Told.of(result.path).manifest
        size = sum(file.size for file in manifest.files.values())
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=manifest.content.rows.get("games"), size=size, fileCount=len(manifest.files)
        )
        made: OutputDataset = OutputDataset(
            self._store,
            "v1",
            facets={"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=manifest.release)},
            outputFacets={"outputStatistics": statistics},
        )
        queries = [query for query in (manifest.content.query_id, manifest.cf.query_id) if query]
        told: dict[str, Any] = {"outputs": [made]}
        if queries:
            source = self._source.url
            query = external_query_run.ExternalQueryRunFacet(externalQueryId=",".join(queries), source=source)
            told["run_facets"] = {"externalQuery": query}
        return told

    def _emit(self, state: str, run_facets: dict[str, Any] | None = None, **datasets: Any) -> None:
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState

        if not self._run:
            return
        event: RunEvent = RunEvent(
            eventType=RunState[state],
            eventTime=datetime.now(UTC).isoformat(),
            run=Run(self._run, facets=run_facets or {}),
            job=Job(self._namespace, JOB),
            producer=PRODUCER,
            **datasets,
        )
        self._client.emit(event)
