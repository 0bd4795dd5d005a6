"""What the settings switch on, where the packages of trackers are not installed."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from recsys.config import load_settings
from recsys.errors import MissingExtra
from recsys.tracking import trackers
from recsys.tracking.told import SENT
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_told_unless_somebody_asks() -> None:
    """No tracker by default."""
    assert trackers(load_settings(environ={})) == ()


@pytest.mark.parametrize(
    ("setting", "package"), [("mlflow_experiment", "mlflow"), ("lineage_namespace", "openlineage")]
)
def test_a_missing_extra_ends_a_run_before_it_begins(setting: str, package: str, tmp_path: Path) -> None:
    """With the extra's name: a night that nobody is told of is seen at once."""
    if importlib.util.find_spec(package) is not None:
        pytest.skip("the extra trackers is installed here")
    settings = load_settings(None, [f"observers.{setting}=games"], {})
    with pytest.raises(MissingExtra, match=f"observers.{setting} needs the extra 'trackers'"):
        Trainer(models_output_dir=tmp_path / "models", source="sample", settings=settings)
    assert not (tmp_path / "models").exists()


def test_no_file_with_ids_of_people_leaves_a_release() -> None:
    """What trackers send is a list of its own, and nothing that holds users is on it."""
    assert set(SENT) == {"manifest.json", "metrics.json", "report.html"}
