"""The watch on the current release goes on, whatever the link leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import recsys
from factories.restored import text
from factories.served import publish
from recsys.service.watch import Watch
from standins.server import until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_link_that_leads_nowhere_is_told_and_watched_on(tmp_path: Path) -> None:
    """A link to itself is a problem with words; the old release goes on, and the next sound one is taken."""
    first = publish(tmp_path)
    recommender = recsys.load(tmp_path / "v1")
    watch = Watch(recommender)
    (tmp_path / "v1").unlink()
    (tmp_path / "v1").symlink_to("v1")
    assert not watch.look()
    assert watch.problem is not None
    assert "cannot be served" in watch.problem
    assert recommender.release == first.name
    (tmp_path / "v1").unlink()
    (tmp_path / "v1").symlink_to(f"releases/{first.name}")
    assert not watch.look()
    assert not watch.problem


def test_a_broken_release_is_tried_again_after_a_while(tmp_path: Path) -> None:
    """Not at every look, since reading it costs; mended in the meantime, it is taken."""
    publish(tmp_path)
    recommender = recsys.load(tmp_path / "v1")
    now = 0.0
    watch = Watch(recommender, retry_after=30, clock=lambda: now)
    second = publish(tmp_path, seed=1)
    damaged = second / "metadata.json"
    whole = damaged.read_bytes()
    damaged.chmod(0o600)
    damaged.write_bytes(whole[:-1])
    assert not watch.look()
    damaged.write_bytes(whole)
    now = 29.0
    assert not watch.look()
    assert watch.problem is not None
    now = 31.0
    assert watch.look()
    assert not watch.problem
    assert recommender.release == second.name


def test_a_watch_that_was_stopped_can_start_again(tmp_path: Path) -> None:
    """An application may begin and end its life twice, as under a test client; it watches in both."""
    publish(tmp_path)
    recommender = recsys.load(tmp_path / "v1")
    watch = Watch(recommender, every=0.01)
    for seed in (1, 2):
        watch.start()
        published = publish(tmp_path, seed=seed).name
        until(lambda published=published: recommender.release == published)  # type: ignore[misc]
        watch.stop()


def test_a_release_that_was_restored_without_its_link_is_watched(tmp_path: Path) -> None:
    """A text is where it leads, look after look; what a publisher makes of it is no other release, the next one is."""
    first = publish(tmp_path)
    text(f"releases/{first.name}")(tmp_path)
    recommender = recsys.load(tmp_path / "v1")
    watch = Watch(recommender)
    assert recommender.snapshot.path == first.resolve()
    assert not watch.look()
    text("releases/gone")(tmp_path)
    assert not watch.look()
    assert watch.problem is not None
    assert "v1 is a text that names releases/gone, which is not there" in watch.problem
    text(f"releases/{first.name}")(tmp_path)
    second = publish(tmp_path, seed=1)
    assert watch.look()
    assert not watch.problem
    assert recommender.release == second.name
