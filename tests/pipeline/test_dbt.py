"""What dbt says of the marts decides whether a run begins; the files are dbt's own (tests_apart/dbt/record.py)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from factories.dbt_target import DATA, GAMES, STAGED, Target
from factories.tables import RECIPE, TableSource, WordEncoder, games, ratings
from recsys import Trainer
from recsys.config import Settings
from recsys.errors import ConfigError, DataContractError, RecsysError
from recsys.pipeline.dbt import check_upstream
from recsys.release.verify import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

MARTS = ("ANALYTICS.MART_GAMES", "ANALYTICS.MART_USER_RATINGS")
RANGE = "test.games.in_range_mart_user_ratings_0__10__RATING.ea141ec56d"


def refusal(target: Target, *tables: str, kind: type[RecsysError] = DataContractError) -> str:
    """Return why the marts are refused."""
    with pytest.raises(kind) as refused:
        check_upstream(str(target.folder), tables or MARTS)
    return str(refused.value)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """Return what a good night left."""
    return Target(tmp_path / "target")


def test_a_night_that_built_the_marts_lets_the_run_begin(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    """The event says which night it was; a test with severity warn is a warning with its node and message."""
    with caplog.at_level("INFO", "recsys"):
        build = check_upstream(str(target.folder), MARTS)
    recorded = json.loads((DATA / "run_results-built.json").read_text(encoding="utf-8"))["metadata"]
    assert (build.invocation_id, build.generated_at) == (recorded["invocation_id"], recorded["generated_at"])
    assert (build.command, build.nodes, build.tests, build.sources, build.left_out) == ("build", 4, 11, 2, 0)
    warning, built = caplog.records
    assert warning.levelname == "WARNING"
    assert "relationships_mart_user_ratings" in str(vars(warning))
    assert "Got 785 results, configured to warn if >0" in str(vars(warning))
    assert build.invocation_id in str(vars(built))


def test_a_failed_test_of_a_mart_is_refused(tmp_path: Path) -> None:
    """With its name, status and message, and the exit code of a broken contract."""
    target = Target(tmp_path / "target", built="test-failed")
    refused = refusal(target)
    assert f"{RANGE} (fail): Got 3016 results, configured to fail if != 0" in refused
    assert "relationships" not in refused, "a warning is no reason"
    assert DataContractError.exit_code == 65


def test_a_failed_model_is_refused_with_all_that_was_skipped_for_it(tmp_path: Path) -> None:
    """By name and status; dbt's message is on one line."""
    refused = refusal(Target(tmp_path / "target", built="model-failed"))
    assert f"{STAGED} (error): Runtime Error in model stg_games" in refused
    assert 'Referenced column "blurb" not found' in refused
    assert "\n" not in refused
    assert f"{GAMES} (skipped)" in refused
    assert "exposure" not in refused, "what reads the marts is not upstream"


def test_a_stale_source_is_refused(tmp_path: Path) -> None:
    """With the time of its newest row and the limit; one that dbt warns of is no reason alone."""
    refused = refusal(Target(tmp_path / "target", looked_at="stale"))
    assert "source.games.raw.games (error): its newest row was loaded at 2026-" in refused
    assert "and the limit is 50 hours" in refused
    assert "raw.ratings" not in refused


def test_a_source_that_dbt_warns_of_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of the ratings alone, whose source is 30 hours old."""
    target = Target(tmp_path / "target", looked_at="stale")
    with caplog.at_level("WARNING", "recsys"):
        assert check_upstream(str(target.folder), MARTS[1:]).sources == 1
    assert "source.games.raw.ratings (warn): its newest row" in str(vars(caplog.records[0]))
    assert "and the limit is 26 hours" in str(vars(caplog.records[0]))


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Models, tests and sources, in one message: first what failed, then what was skipped for it."""
    refused = refusal(Target(tmp_path / "target", "model-failed", "stale"))
    failed = [refused.index(name) for name in (STAGED, RANGE, "source.games.raw.games (error)")]
    assert max(failed) < refused.index("(skipped)")


@pytest.mark.parametrize("looked_at", [{}, {"status": "runtime error", "error": "Binder Error"}])
def test_a_source_whose_age_is_not_known_is_refused(target: Target, looked_at: dict[str, str]) -> None:
    """A source at which its question failed is left out by dbt, or called a runtime error."""
    games = "source.games.raw.games"

    def change(sources: dict[str, Any]) -> None:
        sources["results"] = [each for each in sources["results"] if each["unique_id"] != games]
        if looked_at:
            sources["results"].append({"unique_id": games, **looked_at})

    target.edit("sources.json", change)
    said = "(runtime error): Binder Error" if looked_at else "(not looked at): 'dbt source freshness' failed there"
    assert f"{games} {said}" in refusal(target)


def test_sources_that_are_not_timed_need_no_look(target: Target) -> None:
    """Where dbt is told of no age for a source of the marts, ``sources.json`` is not asked for."""
    (target.folder / "sources.json").unlink()
    assert "'dbt source freshness' writes; run it before recsys" in refusal(target, kind=ConfigError)
    untimed = {"warn_after": {"count": None, "period": None}, "error_after": {"count": None, "period": None}}
    target.edit("manifest.json", lambda all_: all_["sources"]["source.games.raw.games"].update(freshness=untimed))
    target.edit("manifest.json", lambda all_: all_["sources"]["source.games.raw.ratings"].pop("freshness"))
    assert check_upstream(str(target.folder), MARTS).sources == 0


@pytest.mark.parametrize("status", ["error", "skipped", "partial success", "fail", "of a dbt to come"])
def test_only_what_is_known_to_be_good_passes(target: Target, status: str) -> None:
    """A status that this version does not know is refused by name."""
    target.status(STAGED, status, "so it went")
    assert f"{STAGED} ({status}): so it went" in refusal(target)


def test_what_is_not_upstream_does_not_matter(target: Target) -> None:
    """A model beside the marts, one made of them, a source of neither, and the tests at them."""
    target.add_table("model.games.beside", ["source.games.raw.games"])
    target.add_table("model.games.mails", [GAMES, "model.games.beside"])
    for name in ("model.games.beside", "model.games.mails", "operation.games.on-run-end-0"):
        target.status(name, "error")
    target.add_test("test.games.at_beside", ["model.games.beside", GAMES], at="model.games.beside")
    target.add_test("test.games.at_mails", ["model.games.mails", GAMES], at="model.games.mails")
    target.add_test("test.games.mails_and_games", ["model.games.mails", GAMES])
    target.add_test("test.games.staged_and_beside", [STAGED, "model.games.beside"])
    assert check_upstream(str(target.folder), MARTS).tests == 11


@pytest.mark.parametrize(
    ("reads", "at"),
    [
        ([STAGED], STAGED),
        ([STAGED], None),
        ([STAGED, "source.games.raw.games"], None),
        ([GAMES, "model.games.control"], None),
        (["source.games.raw.games"], "source.games.raw.games"),
    ],
)
def test_tests_of_what_the_marts_are_made_of_matter(target: Target, reads: list[str], at: str | None) -> None:
    """At staging, at a source, or queries of their own over these, or over a mart and a table not made of it."""
    target.add_table("model.games.control", ["source.games.raw.games"])
    target.add_test("test.games.added", reads, at)
    assert "test.games.added (fail): Got 3 results" in refusal(target)


def test_unit_tests_matter(target: Target) -> None:
    """They stand in no node of the manifest, and in its map of parents."""
    target.status("unit_test.games.stg_ratings.a_game_rated_twice_counts_once", "fail", "actual differs from expected")
    assert "actual differs from expected" in refusal(target)
    assert check_upstream(str(target.folder), MARTS[:1]).tests == 3, "of the games alone it says nothing"


@pytest.mark.parametrize(("built", "told"), [("compiled", "anything"), ("games-alone", MARTS[1])])
def test_results_of_a_command_that_did_not_build_the_marts_are_refused(tmp_path: Path, built: str, told: str) -> None:
    """``dbt compile`` calls every node a success; dbt keeps the results of its last command alone."""
    refused = refusal(Target(tmp_path / "target", built), kind=ConfigError)
    assert f"did not build {told}" in refused
    assert "let 'dbt build'" in refused
    assert ConfigError.exit_code == 78


def test_a_part_of_the_graph_may_be_built_and_is_counted(tmp_path: Path) -> None:
    """Of the games alone, whose staging an earlier command built; what is only part of other queries is never built."""
    target = Target(tmp_path / "target", "games-alone")
    target.edit("manifest.json", lambda manifest: manifest["nodes"].update({"model.games.inlined": {}}))
    target.edit("manifest.json", lambda manifest: manifest["parent_map"][GAMES].append("model.games.inlined"))
    build = check_upstream(str(target.folder), MARTS[:1])
    assert (build.nodes, build.left_out) == (1, 1)


@pytest.mark.parametrize("name", ["manifest.json", "run_results.json", "sources.json"])
def test_a_file_that_is_missing_or_torn_says_what_to_run(target: Target, name: str) -> None:
    """With its path."""
    path, command = target.folder / name, "source freshness" if name == "sources.json" else "build"
    whole = path.read_text(encoding="utf-8")
    path.unlink()
    assert f"there is no {path}, which 'dbt {command}' writes" in refusal(target, kind=ConfigError)
    path.mkdir()
    assert f"{path} cannot be read (Is a directory)" in refusal(target, kind=ConfigError)
    path.rmdir()
    path.write_text(whole[: len(whole) // 2], encoding="utf-8")
    torn = refusal(target, kind=ConfigError)
    assert f"{path} is not what dbt writes: the file: Invalid JSON" in torn
    assert f"run 'dbt {command}' again" in torn
    path.write_text("{}", encoding="utf-8")
    assert "Field required" in refusal(target, kind=ConfigError)


@pytest.mark.parametrize("table", ["mart_games", "Analytics.Mart_Games", "warehouse.ANALYTICS.MART_GAMES"])
def test_a_mart_is_found_by_the_name_of_its_table(target: Target, table: str) -> None:
    """In any case, with as much of it as the settings give."""
    target.status(GAMES, "error")
    assert GAMES in refusal(target, table)


def test_a_table_that_dbt_does_not_build_is_refused(target: Target) -> None:
    """With what there is; neither what is only part of other queries nor a test's table of failures is a mart."""
    inlined = {"schema": "MARTS", "alias": "mart_games"}
    failures = {**inlined, "relation_name": "MARTS.mart_games"}
    target.edit(
        "manifest.json", lambda manifest: manifest["nodes"].update({"model.a.b": inlined, "test.a.b": failures})
    )
    refused = refusal(target, "MARTS.MART_GAMES", kind=ConfigError)
    assert (
        "no node of manifest.json builds MARTS.MART_GAMES; it has analytics.mart_games, analytics.mart_user" in refused
    )


def test_a_name_that_two_tables_have_is_refused(target: Target) -> None:
    """Both are named; with the schema there is one."""
    other = {"database": "warehouse", "schema": "OLD", "alias": "mart_games", "relation_name": "OLD.mart_games"}
    target.edit("manifest.json", lambda manifest: manifest["nodes"].update({"model.games.old": other}))
    assert "2 nodes of manifest.json build a MART_GAMES: model.games.mart_games, model.games.old" in refusal(
        target, "MART_GAMES", kind=ConfigError
    )
    assert check_upstream(str(target.folder), MARTS).nodes == 4


def trainer(output: Path, target: Path, source: TableSource) -> Trainer:
    """Return a trainer that asks dbt, and encodes in microseconds."""
    settings = Settings.model_validate({"cf": RECIPE, "dbt": {"target": str(target)}})
    return Trainer({}, output, source=source, settings=settings, embedding_model=WordEncoder())


def tables() -> TableSource:
    """Return a source over the small marts."""
    return TableSource(*(pa.Table.from_pandas(frame, preserve_index=False) for frame in (games(), ratings())))


@pytest.mark.parametrize("method", ["run_pipeline", "check", "train_rag_model", "train_cf_model", "checked_ratings"])
def test_nothing_is_fetched_where_dbt_failed(tmp_path: Path, method: str) -> None:
    """Whatever a trainer is asked for: not a query is put, and nothing is published."""
    source, target = tables(), Target(tmp_path / "target", "test-failed", "stale")
    with pytest.raises(DataContractError, match="dbt did not leave the marts fit to train on"):
        getattr(trainer(tmp_path / "models", target.folder, source), method)()
    assert source.queries == []
    assert not (tmp_path / "models" / "v1").exists()


def test_the_night_of_dbt_is_told_and_is_no_part_of_a_release(target: Target, tmp_path: Path) -> None:
    """The JSON line names it; another night over the same data publishes nothing new."""
    made = trainer(tmp_path / "models", target.folder, tables())
    first = made.run_pipeline()
    told = first.to_json()["dbt"]
    recorded = json.loads((DATA / "run_results-built.json").read_text(encoding="utf-8"))["metadata"]
    assert isinstance(told, dict)
    assert told["invocation_id"] == recorded["invocation_id"]
    assert first.path is not None
    for path in (first.path / "manifest.json", first.path / "metrics.json", first.path / "report.html"):
        assert recorded["invocation_id"] not in path.read_text(encoding="utf-8")
    assert "dbt" not in read_manifest(first.path).cf.settings
    target.edit("run_results.json", lambda run: run["metadata"].update(invocation_id="another"))
    moved = target.folder.rename(tmp_path / "elsewhere")
    second = trainer(tmp_path / "models", moved, tables()).run_pipeline()
    assert second.status == "nothing new"
    assert second.dbt is not None
    assert second.dbt.invocation_id == "another"


def test_dbt_is_not_asked_unless_a_folder_is_named(tmp_path: Path) -> None:
    """The setting is empty by default; an address is refused at once."""
    result = Trainer({}, tmp_path, source=tables(), settings=Settings.model_validate({"cf": RECIPE})).check()
    assert result.dbt is None
    with pytest.raises(ValueError, match="is an address"):
        Settings.model_validate({"dbt": {"target": "s3://bucket/target"}})
