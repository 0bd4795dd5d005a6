"""Trackers: observers that tell other systems of a run. They decide nothing, and hear of no user's ratings or ids.

``observers.mlflow_experiment`` and ``observers.lineage_namespace`` switch them on; where they send to, the tools' own
variables say (``MLFLOW_TRACKING_URI``, ``OPENLINEAGE_*``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsys.config import Settings
    from recsys.pipeline.observers import RunObserver


def trackers(settings: Settings) -> tuple[RunObserver, ...]:
    """Return the trackers that the settings switch on.

    Raises
    ------
    MissingExtra
        If the package of one is not installed.
    ConfigError
        If one does not know where to send to.
    """
    asked, found = settings.observers, list["RunObserver"]()
    if asked.mlflow_experiment:
        from recsys.tracking.mlflow_run import MlflowRun

        found.append(MlflowRun(asked.mlflow_experiment, asked.mlflow_model or asked.mlflow_experiment))
    if asked.lineage_namespace:
        from recsys.tracking.lineage import LineageEvents

        found.append(LineageEvents(asked.lineage_namespace, settings))
    return tuple(found)
