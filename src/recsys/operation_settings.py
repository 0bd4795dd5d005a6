"""The settings of what a run leaves behind, who hears of it, and what a server asks of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from recsys.settings_table import Documented
from recsys.system.paths import here_or_store


class ReleaseSettings(Documented):
    """The release store; no part of what it keeps: another bound or folder trains nothing anew."""

    output: Annotated[str, Field(min_length=1), AfterValidator(here_or_store)] = "models"
    """Folder of the releases, or ``s3://bucket/folder``, which ``train`` writes and others read; ``--output`` and
    ``--models`` beat it."""
    keep: Annotated[int, Field(ge=1)] = 5
    """Releases that stay after a run that ended well; the current one and the one that it replaced always do."""
    max_age_days: Annotated[float, Field(ge=0, le=36_500, allow_inf_nan=False)] = 0.0
    """Releases older than this go too, save the current one: whom the marts forget is forgotten here; 0: none."""
    user_factors: bool = True
    """Whether a release holds its users' factors, which no answer needs; ``false`` leaves out ``cf_model.pkl``."""


class ServingSettings(Documented):
    """What a server asks of a release."""

    max_age_hours: Annotated[float, Field(ge=0, le=87_600, allow_inf_nan=False)] = 0.0
    """With a key: ``/ready`` says no once the switch to the release was signed longer ago; 0: never."""


class ObserverSettings(Documented):
    """The observers of a run; no part of what it makes."""

    limit_s: Annotated[float, Field(gt=0)] = 10.0
    """Seconds that an observer may take for one event; one that takes longer is dropped for the rest of the run."""
    mlflow_experiment: str = ""
    """Experiment of MLflow that each run is written to (extra ``trackers``; ``MLFLOW_TRACKING_URI``); empty: none."""
    mlflow_model: str = ""
    """Registered model that each release is a version of; empty: named as the experiment."""
    lineage_namespace: str = ""
    """Namespace of the events of OpenLineage (extra ``trackers``; its own variables say where to); empty: none."""
