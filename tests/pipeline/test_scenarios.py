"""Scenarios travel from the settings into the release, and are no part of its models."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import recsys
from factories import tables
from recsys.config import Settings, load_settings
from recsys.errors import ConfigError
from recsys.release.check import check_here
from recsys.release.store import ReleaseStore
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.pipeline.outcome import RunResult

HOMEPAGE = {"boost": {"tag=Economic": 0.5}, "at_most": {"CATEGORIES": 3}, "exclude": [100]}


def night(models: Path, *, force: bool = False, **scenarios: Any) -> RunResult:
    """Run once on the small marts with some scenarios."""
    marts = (pa.Table.from_pandas(frame, preserve_index=False) for frame in (tables.games(), tables.ratings()))
    settings = {
        "cf": tables.RECIPE,
        "evaluation": {"resamples": 200, "newcomers": False},
        "scenario": scenarios,
    }
    trainer = Trainer(
        {},
        models,
        source=tables.TableSource(*marts),
        settings=Settings.model_validate(settings),
        embedding_model=tables.WordEncoder(),
        store=ReleaseStore(models, check=check_here),
    )
    return trainer.run_pipeline(force=force)


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file but those that tell of the run."""
    told = {"manifest.json", "manifest.sha256", "report.html"}
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name not in told
    }


def test_an_edited_scenario_is_no_new_model(tmp_path: Path) -> None:
    """The same night again is nothing new; with other scenarios the same bytes are published with them, untrained."""
    first = night(tmp_path, homepage=HOMEPAGE)
    assert night(tmp_path, homepage=HOMEPAGE).status == "nothing new"
    edited = night(tmp_path, homepage={**HOMEPAGE, "diversity": 0.2}, sale={"pin": [107]})
    assert edited.status == "published"
    assert not {"embed", "train_candidate", "train_cf", "hybrid", "evaluate"} & edited.seconds.keys()
    assert first.path is not None
    assert edited.path is not None
    assert digests(edited.path) == digests(first.path)
    served = recsys.load(tmp_path / "v1")
    assert served.release == edited.path.name
    assert served.scenarios == {"homepage": {**HOMEPAGE, "diversity": 0.2}, "sale": {"pin": [107]}}
    assert served.recommend(3, scenario="sale").ids[0] == 107
    assert served.recommend(3, 4, scenario="sale", rules={"pin": [108]}).ids[0] == 108
    page = (edited.path / "report.html").read_text(encoding="utf-8")
    assert page.count("Not scored: it was added or edited") == 2
    manifests = [json.loads((path / "manifest.json").read_text()) for path in (first.path, edited.path)]
    assert manifests[0]["cf"] == manifests[1]["cf"]
    assert manifests[1]["replaces"] == first.path.name
    assert night(tmp_path).status == "published"
    assert recsys.load(tmp_path / "v1").scenarios == {}
    assert "homepage" not in (tmp_path / "v1" / "report.html").read_text(encoding="utf-8")


def test_a_scenario_that_was_added_later_says_so(tmp_path: Path) -> None:
    """The models are those of a night without scenarios, and its figures know of none."""
    night(tmp_path)
    path = night(tmp_path, homepage=HOMEPAGE).path
    assert path is not None
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "Not scored: it was added or edited" in page
    assert "name no scenario" not in page


def test_the_page_and_the_metrics_tell_the_price(tmp_path: Path) -> None:
    """By scenario, beside the lists without rules."""
    path = night(tmp_path, homepage=HOMEPAGE).path
    assert path is not None
    found = json.loads((path / "metrics.json").read_text())["scenarios"]
    price = found["named"]["homepage"]["price"]["ndcg@10"]["value"]
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "Scenarios and their price" in page
    assert "boost: tag=Economic 0.5" in page
    assert f"{abs(100 * price):.1f}%" in page
    assert "Not scored" not in page
    without = night(tmp_path / "other").path
    assert without is not None
    assert "The settings name no scenario." in (without / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"boost": {"tag=Econmic": 1}}, "scenario.homepage: .*did you mean Economic"),
        ({"filters": ["PLAYERS>=2"]}, "scenario.homepage: .*no column PLAYERS"),
        ({"pin": [999]}, "scenario.homepage: game 999 is not among"),
        ({"at_most": {"YEAR": 1}}, "scenario.homepage: .*no column YEAR"),
        ({"pin": [100, 101], "at_most": {"tag": 1}}, "scenario.homepage: more games of a kind are pinned"),
        ({"pin": [100], "exclude": [100]}, "scenario.homepage: 100 is pinned and excluded"),
        ({"boost": {"tag=Economic": float(0)}}, "scenario.homepage: .*above 0"),
    ],
)
def test_a_scenario_that_tonights_games_cannot_answer_ends_the_run(
    tmp_path: Path, rules: dict[str, Any], words: str
) -> None:
    """With its name and before anything is trained; what is current stays."""
    with pytest.raises(ConfigError, match=words):
        night(tmp_path, homepage=rules)
    assert not (tmp_path / "v1").exists()


def test_a_tag_that_is_buried_and_gone_is_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A night is not broken by what it need not find."""
    assert night(tmp_path, homepage={"bury": {"tag=Econmic": 1}}).status == "published"
    assert "a scenario names what the games lack" in caplog.text
    assert "Econmic" in recsys.load(tmp_path / "v1").recommend(3, scenario="homepage").note


def test_scenarios_are_tables_of_the_settings_file(tmp_path: Path) -> None:
    """As they are written in TOML, names in lower case."""
    file = tmp_path / "recsys.toml"
    file.write_text(
        '[scenario.HomePage]\nfilters = ["N_RATINGS>=10"]\npin = [13, "x"]\nat_most = {tag = 2}\n'
        '[scenario.sale.boost]\n"tag=Economic" = 0.5\n'
    )
    scenario = load_settings(file, environ={}).scenario
    assert scenario["homepage"].pin == (13, "x")
    assert scenario["sale"].boost == {"tag=Economic": 0.5}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[scenario.a]\nboosts = {}", r"scenario.a.boosts \(from .*no such rule; \[scenario\] has filters, only"),
        ("[scenario.a]\npin = [1.5]", "scenario.a.pin.0"),
        ("[scenario.a]\nonly = [true]", "scenario.a.only.0"),
        ("[scenario.a]\nat_most = {tag = 1.5}", "scenario.a.at_most.tag = 1.5"),
        ("[scenario.a]\ndiversity = 2", "scenario.a.diversity = 2"),
        ("[scenario.a]\nboost = {x = nan}", "scenario.a.boost.x"),
        ('[scenario."a b"]\nboost = {}', "scenario.a b"),
        ("[scenario]\nboost = 1", "scenario.boost = 1"),
        ("".join(f"[scenario.s{number}]\n" for number in range(11)), "11 scenarios are more than 10"),
    ],
)
def test_a_wrong_scenario_is_named(tmp_path: Path, content: str, words: str) -> None:
    """With its place in the file."""
    file = tmp_path / "recsys.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_settings(file, environ={})
