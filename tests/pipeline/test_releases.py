"""A run publishes one release, repeats nothing, and can publish one half alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from factories.restored import alone, follow_links, text
from recsys.config import ContentSettings, Settings
from recsys.errors import ArtifactCorrupt, DataContractError, ModelNotFound, ReleaseNotFound
from recsys.release.check import check_here
from recsys.release.loading import load_release
from recsys.release.manifest import ArrayFacts
from recsys.release.store import ReleaseStore
from recsys.sources import QueryResult, Source
from recsys.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from factories.restored import Spoil

SETTINGS = Settings.model_validate(
    {"cf": {"factors": 4, "iterations": 3, "threads": 1, "tuning": "off"}, "release": {"keep": 3}}
)


class HashEncoder:
    """Gives every text a unit vector of its own, always the same."""

    dimension = 16
    recipe: dict[str, str] = {"revision": "hash"}  # noqa: RUF012 - the protocol asks for a plain attribute

    def __init__(self, engine: str = "hashing") -> None:
        self.runs_on = {"engine": engine, "device": "cpu"}

    def encode(self, texts: Sequence[str]) -> Any:
        """Seed a generator with each text."""
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in texts]
        vectors = np.array([np.random.default_rng(seed).normal(size=self.dimension) for seed in seeds])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Marts(Source):
    """A source that answers from two tables in memory, in a new order of rows every time."""

    name = "tables in memory"

    def __init__(self, games: int = 30, users: int = 40, *, liked: float = 8.0) -> None:
        rng = np.random.default_rng(0)
        ids = [f"g{number}" for number in range(games)]
        self.games = pa.table(
            {
                "GAME_ID": ids,
                "NAME": [f"Name of {id_}" for id_ in ids],
                "DESCRIPTION": [f"About {id_}" for id_ in ids],
                "CATEGORIES": ["Economic"] * games,
                "MECHANICS": ["Dice"] * games,
            }
        )
        same = np.arange(users)[:, None] % 2 == np.arange(games) % 2  # two tastes, or the gate would refuse
        user, game = np.nonzero(rng.random((users, games)) < np.where(same, 0.8, 0.1))
        self.ratings = pa.table(
            {"USER_ID": user + 2**40, "GAME_ID": [ids[code] for code in game], "RATING": np.full(len(user), liked)}
        )
        self._shuffle = np.random.default_rng(1)

    def execute(self, sql: str) -> QueryResult:
        """Return the table that the query names, shuffled."""
        table = self.ratings if "RATING" in sql else self.games
        table = table.take(self._shuffle.permutation(table.num_rows))
        return QueryResult(
            table.schema, iter(table.to_batches()), table.num_rows, f"id-of-{sql.rsplit(maxsplit=1)[-1]}"
        )

    def close(self) -> None:
        """Nothing is open."""


def trainer(
    output: Path, marts: Marts | None = None, settings: Settings = SETTINGS, encoder: HashEncoder | None = None
) -> Trainer:
    """Return a trainer of the small marts that checks its releases in this process, which is quick."""
    store = ReleaseStore(output, check=check_here)
    return Trainer(
        {}, output, source=marts or Marts(), settings=settings, embedding_model=encoder or HashEncoder(), store=store
    )


def test_a_run_publishes_a_release_with_its_provenance(tmp_path: Path) -> None:
    """Rows, query ids, settings, steps and the replaced release stand in the manifest."""
    result = trainer(tmp_path).run_pipeline()
    assert result.status == "published"
    release = load_release(tmp_path / "v1")
    assert release.path == result.path.resolve() if result.path else False
    manifest = release.manifest
    assert manifest.content.query_id == "id-of-ANALYTICS.MART_GAMES"
    assert manifest.cf.query_id == "id-of-ANALYTICS.MART_USER_RATINGS"
    assert manifest.content.rows == {"games": 30}
    assert manifest.cf.rows == {"ratings": result.rows["ratings"], "users": 40, "games": 30}
    assert manifest.cf.section("cf")["factors"] == 4
    assert manifest.content.section("recipe") == {"revision": "hash"}
    assert manifest.content.computed_on == {"engine": "hashing", "device": "cpu"}
    assert {"numpy", "implicit", "python"} <= set(manifest.cf.libraries)
    assert manifest.files["cf_factors.npz"].arrays["user_factors"] == ArrayFacts(shape=(40, 4), dtype="float32")
    assert {"fetch_games", "fetch_ratings", "embed", "train_cf"} <= set(manifest.steps)
    assert all(step.peak_memory_mb > 0 for step in manifest.steps.values())
    assert manifest.replaces is None
    counts = release.games["N_RATINGS"].to_pylist()
    assert sum(counts) == result.rows["ratings"]
    assert counts[release.game_ids.index("g7")] == Marts().ratings["GAME_ID"].to_pylist().count("g7")


@pytest.mark.parametrize("train", [Trainer.run_pipeline, Trainer.train_rag_model])
def test_settings_that_cannot_be_met_end_the_run_before_the_fetch(
    tmp_path: Path, train: Callable[[Trainer], object]
) -> None:
    """A model that is not there (or an engine, or a device) is told at once, not after minutes of fetching."""

    class Untouched(Marts):
        def execute(self, sql: str) -> QueryResult:
            raise AssertionError(f"fetched before the settings were looked at: {sql}")

    settings = SETTINGS.model_copy(update={"content": ContentSettings(model=str(tmp_path / "nowhere"))})
    store = ReleaseStore(tmp_path / "models", check=check_here)
    with pytest.raises(ModelNotFound, match="nowhere"):
        train(Trainer({}, tmp_path / "models", source=Untouched(), settings=settings, store=store))


def test_the_same_data_gives_the_same_bytes_and_nothing_new(tmp_path: Path) -> None:
    """A second run on shuffled rows publishes nothing; forced, it writes identical files."""
    first = trainer(tmp_path).run_pipeline()
    again = trainer(tmp_path).run_pipeline()
    assert (again.status, again.path) == ("nothing new", (tmp_path / "releases" / first.run_id))
    assert ReleaseStore(tmp_path).names() == [first.run_id]
    forced = trainer(tmp_path).run_pipeline(force=True)
    assert forced.status == "published"
    store = ReleaseStore(tmp_path)
    before, after = store.manifest(first.run_id), store.manifest(forced.run_id)
    assert set(before.files) == set(after.files)
    # Only what the run tells differs: the second one had a release to be compared with.
    assert {name for name in before.files if before.files[name] != after.files[name]} == {"metrics.json", "report.html"}
    assert after.replaces == first.run_id


def test_another_number_of_threads_changes_less_than_the_tolerance(tmp_path: Path) -> None:
    """Bits may differ there; the promise is 1e-4 of the largest factor, and everything else is equal."""
    loaded = []
    for threads in (1, 2):
        other = SETTINGS.model_copy(update={"cf": SETTINGS.cf.model_copy(update={"threads": threads})})
        trainer(tmp_path / str(threads), settings=other).run_pipeline()
        loaded.append(load_release(tmp_path / str(threads) / "v1"))
    one, two = loaded
    left_half, right_half = (np.load(release.path / "cf_factors.npz") for release in loaded)
    for name in ("user_factors", "item_factors"):
        left, right = left_half[name], right_half[name]
        assert float(np.abs(left - right).max()) <= 1e-4 * float(np.abs(left).max())
    for name in ("rag_index.faiss", "metadata.json", "cf_mappings.json", "interactions.npz", "games.parquet"):
        assert one.manifest.files[name] == two.manifest.files[name]


def test_a_changed_rating_or_setting_is_new(tmp_path: Path) -> None:
    """Every input counts: data of either half, and settings."""
    trainer(tmp_path).run_pipeline()
    assert trainer(tmp_path, Marts(liked=7.5)).run_pipeline().status == "published"
    other = SETTINGS.model_copy(update={"cf": SETTINGS.cf.model_copy(update={"seed": 7})})
    assert trainer(tmp_path, Marts(liked=7.5), other).run_pipeline().status == "published"
    assert trainer(tmp_path, Marts(liked=7.5), other).run_pipeline().status == "nothing new"


def test_another_way_to_encode_the_same_vectors_is_not_new(tmp_path: Path) -> None:
    """Engine, device, threads and cache are recorded; alone they publish nothing. A model or a precision does."""
    trainer(tmp_path).run_pipeline()
    how = {"engine": "torch", "device": "cpu", "threads": 3, "batch_tokens": 512, "cache_dir": "c", "cache_mb": 7}
    again = trainer(tmp_path, settings=with_content(how), encoder=HashEncoder("another"))
    assert again.run_pipeline().status == "nothing new"
    other = trainer(tmp_path, settings=with_content({"precision": "float32"}))
    assert other.run_pipeline().status == "published"
    model = trainer(tmp_path, settings=with_content({"precision": "float32", "model": "folder"}))
    assert model.run_pipeline().status == "published"


def with_content(values: dict[str, object]) -> Settings:
    """Return the settings of these tests with others for the content model."""
    return SETTINGS.model_copy(update={"content": ContentSettings.model_validate(values)})


def test_the_same_data_in_another_place_are_not_new(tmp_path: Path) -> None:
    """Where the rows lie, and how the warehouse is asked, decides nothing about a model; what time is read does."""
    trainer(tmp_path).run_pipeline()
    elsewhere = {"url": "marts/", "games_table": "OTHER.MART_GAMES", "ratings_table": "OTHER.RATING_MART"}
    asked = Settings.model_validate(
        {**SETTINGS.model_dump(), "source": elsewhere, "snowflake": {"deadline_s": 7, "query_tag": "night"}}
    )
    assert trainer(tmp_path, settings=asked).run_pipeline().status == "nothing new"
    bounds = Settings.model_validate({**SETTINGS.model_dump(), "data": {"max_unknown": 0.4}})
    assert trainer(tmp_path, settings=bounds).run_pipeline().status == "published"


def test_a_half_that_does_not_meet_the_other_is_not_published(tmp_path: Path) -> None:
    """A new catalogue that lacks most rated games of the release is refused, and so are ratings of other games."""

    class Renamed(Marts):
        def __init__(self) -> None:
            super().__init__()
            for name in ("games", "ratings"):
                table = getattr(self, name)
                ids = pa.array([f"x{id_}" for id_ in table["GAME_ID"].to_pylist()])
                setattr(self, name, table.set_column(table.schema.get_field_index("GAME_ID"), "GAME_ID", ids))

    first = trainer(tmp_path).run_pipeline()
    reason = r"\(100\.0% of them\) of games that .* lacks, more than the 50% of data\.max_unknown: GAME_ID is text"
    with pytest.raises(DataContractError, match=reason):
        trainer(tmp_path, Renamed()).train_rag_model()
    with pytest.raises(DataContractError, match=reason):
        trainer(tmp_path, Renamed()).train_cf_model()
    store = ReleaseStore(tmp_path)
    assert store.names() == [first.run_id]
    assert store.current() == first.run_id


def test_the_cf_half_is_spelled_as_the_current_catalogue(tmp_path: Path) -> None:
    """Ratings alone are joined with the catalogue of the release that they are published with."""

    class Numbers(Marts):
        def __init__(self, spelling: str) -> None:
            super().__init__()
            number = [id_.removeprefix("g") for id_ in self.games["GAME_ID"].to_pylist()]
            self.games = self.games.set_column(0, "GAME_ID", pa.array(number))
            ids = [spelling.format(id_.removeprefix("g")) for id_ in self.ratings["GAME_ID"].to_pylist()]
            self.ratings = self.ratings.set_column(1, "GAME_ID", pa.array(ids))

    trainer(tmp_path, Numbers("{}")).run_pipeline()
    before = load_release(tmp_path / "v1")
    trainer(tmp_path, Numbers("{}.0 ")).train_cf_model()
    after = load_release(tmp_path / "v1")
    assert after.path != before.path
    assert after.items == before.items
    assert after.recommendable.all()


def test_nothing_is_new_only_beside_a_sound_release(tmp_path: Path) -> None:
    """Exit code 0 means a verified release: a damaged one is replaced."""
    first = trainer(tmp_path).run_pipeline()
    factors = tmp_path / "v1" / "cf_factors.npz"
    data = bytearray(factors.read_bytes())
    data[-1] ^= 1
    factors.write_bytes(data)
    second = trainer(tmp_path).run_pipeline()
    assert second.status == "published"
    assert second.run_id != first.run_id
    load_release(tmp_path / "v1")


def test_one_half_is_published_with_the_other_of_the_current_release(tmp_path: Path) -> None:
    """The content half is new, the CF half is carried over; a game that left the catalogue is no longer recommended."""
    trainer(tmp_path).run_pipeline()
    before = load_release(tmp_path / "v1")
    trainer(tmp_path, Marts(games=29)).train_rag_model()
    after = load_release(tmp_path / "v1")
    assert after.path != before.path
    assert len(after.game_ids) == 29
    np.testing.assert_array_equal(after.user_factors, before.user_factors)
    assert after.manifest.cf == before.manifest.cf
    assert after.manifest.content.trained_by == after.manifest.release
    gone = after.items.code_of("g29")
    assert gone is not None
    assert not after.recommendable[gone]
    assert after.recommendable.sum() == 29


def test_the_cf_half_recounts_the_ratings(tmp_path: Path) -> None:
    """New ratings beside the old index: the games' number of ratings follows."""
    trainer(tmp_path).run_pipeline()
    before = load_release(tmp_path / "v1")
    trainer(tmp_path, Marts(users=70)).train_cf_model()
    after = load_release(tmp_path / "v1")
    assert after.manifest.content == before.manifest.content
    assert after.manifest.files["rag_index.faiss"] == before.manifest.files["rag_index.faiss"]
    assert len(after.users) == 70
    assert sum(after.games["N_RATINGS"].to_pylist()) == len(after.ratings)


def test_a_half_without_a_release_is_saved_and_is_no_release(tmp_path: Path) -> None:
    """The contract's files stand in ``v1``; loading says what is missing; a whole run moves them aside."""
    trainer(tmp_path).train_rag_model()
    trainer(tmp_path).train_cf_model()
    assert {"rag_index.faiss", "metadata.json", "cf_model.pkl", "cf_mappings.json"} <= {
        path.name for path in (tmp_path / "v1").iterdir()
    }
    with pytest.raises(ArtifactCorrupt, match=r"holds parts of a release"):
        load_release(tmp_path / "v1")
    trainer(tmp_path).run_pipeline()
    load_release(tmp_path / "v1")


@pytest.mark.parametrize("spoil", [follow_links, alone, None], ids=["a copy", "a folder alone", "a text"])
def test_a_run_knows_the_release_that_was_restored_without_its_link(tmp_path: Path, spoil: Spoil | None) -> None:
    """It has nothing new beside it, and a half is published with its other half."""
    first = trainer(tmp_path).run_pipeline()
    (spoil or text(f"releases/{first.run_id}\n"))(tmp_path)
    result = trainer(tmp_path).run_pipeline()
    assert (result.status, result.path) == ("nothing new", tmp_path / "releases" / first.run_id)
    (spoil or text(f"releases/{first.run_id}\n"))(tmp_path)
    trainer(tmp_path, Marts(games=29)).train_rag_model()
    manifest = ReleaseStore(tmp_path).manifest()
    assert (manifest.replaces, manifest.cf.trained_by) == (first.run_id, first.run_id)
    follow_links(tmp_path)
    trainer(tmp_path, Marts(users=70)).train_cf_model()
    assert ReleaseStore(tmp_path).manifest().replaces == manifest.release


def test_a_run_that_cannot_know_the_current_release_fetches_nothing(tmp_path: Path) -> None:
    """The whole pipeline and either half end before they have read a row."""
    trainer(tmp_path).run_pipeline()
    (tmp_path / "v1").unlink()
    (tmp_path / "v1").mkdir()

    class Closed(Marts):
        def execute(self, sql: str) -> QueryResult:
            raise AssertionError(f"{sql} was asked")

    for train in ("run_pipeline", "train_rag_model", "train_cf_model"):
        with pytest.raises(ReleaseNotFound, match="v1 is an empty folder, so no release is known to be current"):
            getattr(trainer(tmp_path, Closed()), train)()


def test_a_half_that_is_not_published_writes_nothing(tmp_path: Path) -> None:
    """``publish=False`` gives the model, and leaves the disk alone."""
    output = tmp_path / "models"
    assert len(trainer(output).train_rag_model(publish=False).game_ids) == 30
    assert len(trainer(output).train_cf_model(publish=False).users) == 40
    assert not output.exists()
