"""Nights in Airflow 3: train, then export the lists.

What is worth a retry is tried again; a refused candidate or a hold skips what follows; all else fails at once. The
worker has `recsys` on its PATH, and SNOWFLAKE_* in its environment; see docs/production.md.
"""

import os
import subprocess
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

MODELS = os.environ.get("MODELS", "/var/lib/recsys/models")
TRAIN = ["recsys", "train", "--output", MODELS, "--json", "--log-format", "json"]
EXPORT = ["recsys", "export", "recommendations", "snowflake", "--models", MODELS, "--k", "50"]

RETRY = {69, 75}
"""An outage; a limit of time, or another run at work. What any other code says is as true an hour later."""
LOOK = {3}
"""The candidate was refused, or somebody holds publishing: the current release stays, and a person looks."""


def run(command: list[str]) -> None:
    """Run a command, and tell Airflow what its exit code means."""
    code = subprocess.run(command, check=False).returncode
    if code in RETRY:
        raise AirflowException(f"{command[:2]} ended with {code}: worth a retry")
    if code in LOOK:
        raise AirflowSkipException(f"{command[:2]} ended with {code}: nothing was published; the log says why")
    if code:
        raise AirflowFailException(f"{command[:2]} ended with {code}: a retry would end alike")


@dag(
    schedule="30 4 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # releases are not made for nights that have passed
    max_active_runs=1,
    default_args={
        "retries": 1,
        "retry_delay": timedelta(minutes=15),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(hours=1),
        "execution_timeout": timedelta(hours=5),
    },
    tags=["recsys"],
)
def recsys_nightly() -> None:
    """Train and publish a release, then write its lists where dbt reads them."""

    @task
    def train() -> None:
        run(TRAIN)

    @task
    def export() -> None:
        run(EXPORT)

    train() >> export()


recsys_nightly()
