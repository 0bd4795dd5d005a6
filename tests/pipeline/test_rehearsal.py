"""A dry run ends as the run would, says what that would do, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings, write_marts
from recsys import Trainer
from recsys.cli import run
from recsys.config import Settings
from recsys.errors import (
    ArtifactWriteError,
    ConfigError,
    DataContractError,
    LockHeld,
    PublishingHeld,
    RecsysError,
    ReleaseNotFound,
)
from recsys.pipeline.outcome import Overrides
from recsys.release.lock import publisher_lock
from recsys.release.store import ReleaseStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

ECONOMIC = {"only": ["tag=Economic"]}


def night(output: Path, ratings_frame: pd.DataFrame | None = None, **sections: Any) -> tuple[Trainer, TableSource]:
    """Return a quick trainer, and its source, which knows what it was asked."""
    frames = games(), ratings() if ratings_frame is None else ratings_frame
    source = TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in frames))
    evaluation = {"newcomers": False, "resamples": 100}
    settings = Settings.model_validate({"cf": RECIPE, "evaluation": evaluation, **sections})
    store = ReleaseStore(output, check=lambda *_: None)
    return Trainer({}, output, source=source, settings=settings, embedding_model=WordEncoder(), store=store), source


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with one release of the small marts."""
    output = tmp_path_factory.mktemp("store") / "models"
    night(output)[0].run_pipeline()
    return output


@pytest.fixture
def models(tmp_path: Path, template: Path) -> Path:
    """Return a copy of it."""
    shutil.copytree(template, tmp_path / "models", symlinks=True)
    return tmp_path / "models"


def tree(folder: Path) -> dict[str, int]:
    """Return everything below a folder, with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in sorted(folder.rglob("*")) if not path.is_dir()}


def test_it_says_what_a_run_would_do(models: Path, tmp_path: Path) -> None:
    """Train where something is new, publish again where scenarios are, else nothing; and a run then does that."""
    before = tree(tmp_path)
    assert night(tmp_path / "none")[0].check().outlook == "train"
    assert night(models, ratings(seed=1))[0].check().outlook == "train"
    assert night(models)[0].check().outlook == "nothing new"
    assert night(models)[0].check(force=True).outlook == "train"
    assert night(models, scenario={"shop": ECONOMIC})[0].check().outlook == "publish again"
    assert tree(tmp_path) == before
    assert night(models)[0].run_pipeline().status == "nothing new"
    assert night(models, scenario={"shop": ECONOMIC})[0].run_pipeline().status == "published"


def test_the_headline_tells_it(models: Path) -> None:
    """Counts, what a run would do, and that the gate is not foretold."""
    new = night(models, ratings(seed=1))[0].check().headline
    assert new.startswith("checked: 40 games, 720 ratings by 80 users (")
    assert "would train now and let the gate decide, which no dry run foretells" in new
    assert "would find nothing new" in night(models)[0].check().headline


def held(models: Path) -> None:
    """Place a hold."""
    ReleaseStore(models).holds.place("sale week", "anna")


def lost(models: Path) -> None:
    """Let the link point to nothing."""
    (models / "v1").unlink()
    (models / "v1").symlink_to("releases/gone")


def a_file(models: Path) -> None:
    """Put a file where the folder was."""
    shutil.rmtree(models)
    models.write_text("a file")


TWO_MARTS = ratings()
CASES: dict[str, tuple[Callable[[Path], object], dict[str, Any], type[RecsysError]]] = {
    "output": (a_file, {}, ArtifactWriteError),
    "hold": (held, {}, PublishingHeld),
    "link": (lost, {}, ReleaseNotFound),
    "contract": (str, {"ratings_frame": TWO_MARTS.assign(RATING=11.0)}, DataContractError),
    "drift": (str, {"ratings_frame": TWO_MARTS[TWO_MARTS["USER_ID"] < 40]}, DataContractError),
    "scenario": (str, {"scenario": {"shop": {"pin": [999]}}}, ConfigError),
    "hold and contract": (held, {"ratings_frame": TWO_MARTS.assign(RATING=11.0)}, PublishingHeld),
}


@pytest.mark.parametrize("case", CASES)
def test_it_ends_as_the_run_would(case: str, models: Path, tmp_path: Path) -> None:
    """The same error with the same exit code, though both marts are read in any case; nothing is left."""
    spoil, changed, kind = CASES[case]
    spoil(models)
    before = tree(tmp_path)
    trainer, source = night(models, **changed)
    with pytest.raises(kind) as foreseen:
        trainer.check()
    assert len(source.queries) == 2
    assert tree(tmp_path) == before
    with pytest.raises(kind) as happened:
        night(models, **changed)[0].run_pipeline()
    assert foreseen.value.exit_code == happened.value.exit_code
    assert "would publish nothing" in str(foreseen.value) or kind is not PublishingHeld


def test_a_publisher_at_work_is_foreseen(models: Path) -> None:
    """Exit code 75 and who it is; the dry run itself keeps nobody from publishing."""
    with publisher_lock(models, "a-run"), pytest.raises(LockHeld, match="is held by run a-run"):
        night(models)[0].check()
    assert night(models)[0].check().outlook == "nothing new"
    with publisher_lock(models, "a-run"):
        pass


def test_what_comes_after_the_first_is_told_too(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever lifts a hold learns before that the marts are broken."""
    held(models)
    with pytest.raises(PublishingHeld):
        night(models, TWO_MARTS.assign(RATING=11.0))[0].check()
    (told,) = [record for record in caplog.records if record.message.startswith("that mended")]
    assert vars(told)["recsys_keys"]["exit_code"] == 65
    assert "720 ratings out" in str(vars(told)["recsys_keys"]["reason"])


@pytest.mark.parametrize("accepted", [None, "a new shop"])
def test_drift_that_is_accepted_is_no_end(accepted: str | None, models: Path) -> None:
    """The overrides of the run are those of the dry run."""
    half = TWO_MARTS[TWO_MARTS["USER_ID"] < 40]
    with nullcontext() if accepted else pytest.raises(DataContractError, match="drifted since release"):
        assert night(models, half)[0].check(overrides=Overrides(accept_drift=accepted)).outlook == "train"


def test_the_command_ends_with_the_runs_code(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What CI reads: exit code 3 under a hold, and the hold in the JSON line; 0 and the outlook without it."""
    arguments = ["train", "--dry-run", "--json", "--source", str(write_marts(tmp_path / "marts"))]
    arguments += ["--output", str(models)]
    held(models)
    assert run(arguments) == 3
    line = json.loads(capsys.readouterr().out)
    assert (line["error"], line["hold"]["by"]) == ("PublishingHeld", "anna")
    ReleaseStore(models).holds.lift()
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["outlook"] == "train"


def test_an_output_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A run would make it; a dry run looks whether it could."""
    assert night(tmp_path / "a" / "b")[0].check().outlook == "train"
    assert list(tmp_path.iterdir()) == []
