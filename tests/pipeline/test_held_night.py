"""A night under a hold: it ends before it fetches, whatever it was told to set aside, and everybody hears why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings, write_marts
from recsys.cli import run
from recsys.config import Settings
from recsys.errors import PublishingHeld
from recsys.pipeline.observers import RunObserver
from recsys.pipeline.outcome import Overrides
from recsys.release.layout import PART_FILES
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recsys.pipeline.outcome import Failure


class Ears(RunObserver):
    """Hears how a run failed, and does something at the verdict."""

    def __init__(self, at_the_verdict: Callable[[], object] = lambda: None) -> None:
        self.failures: list[Failure] = []
        self._act = at_the_verdict

    def judged(self, _: dict[str, object]) -> None:
        """Do it."""
        self._act()

    def failed(self, failure: Failure) -> None:
        """Take a note."""
        self.failures.append(failure)


def night(output: Path, *observers: RunObserver, **cf: Any) -> tuple[Trainer, TableSource]:
    """Return a quick trainer, and its source, which knows what it was asked."""
    source = TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), ratings())))
    settings = Settings.model_validate({"cf": {**RECIPE, **cf}, "evaluation": {"newcomers": False, "resamples": 100}})
    store = ReleaseStore(output, check=lambda *_: None)
    trainer = Trainer(
        {}, output, source=source, settings=settings, embedding_model=WordEncoder(), store=store, observers=observers
    )
    return trainer, source


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a store of two releases by different settings."""
    for seed in (1, 2):
        night(tmp_path / "models", seed=seed)[0].run_pipeline()
    return tmp_path / "models"


def test_a_rollback_outlasts_the_next_night(models: Path) -> None:
    """Without a hold that publishes again, byte for byte, what was rolled back from; with one it ends with 3."""
    store = ReleaseStore(models)
    bad = store.path()
    store.rollback(hold=False)
    again = night(models, seed=2)[0].run_pipeline().path
    assert again is not None
    assert again != bad
    assert all((again / name).read_bytes() == (bad / name).read_bytes() for name in PART_FILES if (bad / name).exists())
    good = store.rollback(reason="worse on phones", by="anna").release
    trainer, source = night(models, seed=2)
    with pytest.raises(
        PublishingHeld, match=r'held by anna since 20.*"worse on phones".*nothing was fetched'
    ) as caught:
        trainer.run_pipeline()
    assert caught.value.exit_code == 3
    assert source.queries == []
    assert store.current() == good
    last = store.journal.lines()[-1]
    assert last.event == "refused"
    assert last.release not in store.names()
    assert '"worse on phones"' in str(last.why)
    store.holds.lift()
    assert night(models, seed=2)[0].run_pipeline().status == "published"


def test_nothing_but_lifting_breaks_a_hold(models: Path) -> None:
    """Not an override, not force, not one half alone; nothing is asked of the source."""
    ReleaseStore(models).holds.place("stop")
    trainer, source = night(models, seed=2)
    wanted = Overrides(publish_anyway="now", accept_drift="all of it")
    for attempt in (
        trainer.run_pipeline,
        lambda: trainer.run_pipeline(force=True, overrides=wanted),
        trainer.train_rag_model,
        lambda: trainer.train_cf_model(overrides=wanted),
    ):
        with pytest.raises(PublishingHeld):
            attempt()
    assert source.queries == []


def test_a_hold_that_comes_during_the_night_is_kept(models: Path) -> None:
    """Nothing is published, and the observers hear of it once."""
    store = ReleaseStore(models)
    before, names = store.current(), store.names()
    ears = Ears(lambda: store.holds.place("stop", "ben"))
    with pytest.raises(PublishingHeld, match=r'by ben since .*"stop"; nothing was published'):
        night(models, ears, seed=3)[0].run_pipeline()
    assert (store.current(), store.names()) == (before, names)
    (failure,) = ears.failures
    assert (failure.kind, failure.exit_code) == ("PublishingHeld", 3)
    assert failure.hold is not None
    assert (failure.hold["by"], failure.hold["reason"]) == ("ben", "stop")


def test_what_publishes_nothing_goes_on_under_a_hold(models: Path) -> None:
    """A half is trained where it is not published, and releases are verified."""
    ReleaseStore(models).holds.place("stop")
    assert night(models)[0].train_cf_model(publish=False).taste is not None
    ReleaseStore(models).verify()


def test_the_line_and_the_page_of_a_held_night(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, one line on stderr, the hold as an object in the JSON line; GitHub's page and annotation have it."""
    run(["hold", "worse <b>here</b> | there", "--by", "anna", "--models", str(models)])
    capsys.readouterr()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    write_marts(tmp_path / "marts")
    arguments = ["--output", str(models), "--publish-anyway", "please", "--force", "--json"]
    assert run(["train", "--source", str(tmp_path / "marts"), *arguments]) == 3
    captured = capsys.readouterr()
    line = json.loads(captured.out)
    assert (line["status"], line["error"], line["exit_code"]) == ("failed", "PublishingHeld", 3)
    assert (line["hold"]["by"], line["hold"]["reason"]) == ("anna", "worse <b>here</b> | there")
    (told,) = [text for text in captured.err.splitlines() if text.startswith("recsys: error: ")]
    assert told == f"recsys: error: {line['message']}"
    assert "fetched" not in captured.err.replace("nothing was fetched", "")
    assert f"::error title=PublishingHeld::publishing into {models} is held by anna" in captured.err
    page = (tmp_path / "summary.md").read_text()
    assert page.count("publishing into") == 1
    assert "worse &lt;b>here&lt;/b> \\| there" in page
