"""``metrics.json`` read: what a trial found comes back as it was, and other values are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.json_trees import VALUES, changed, places
from factories.old_release import FOLDER
from recsys.errors import ArtifactCorrupt, IncompatibleArtifact
from recsys.release.layout import METRICS
from recsys.release.metrics import read_metrics

STORED: dict[str, Any] = json.loads((FOLDER / METRICS).read_bytes())


def test_nothing_that_was_measured_is_lost() -> None:
    """Every key of a file comes back with its value, and none is made up."""
    assert read_metrics(json.dumps(STORED).encode()).model_dump(mode="json") == STORED


@settings(max_examples=400, deadline=None)
@given(path=st.sampled_from(list(places(STORED))), value=VALUES, drop=st.booleans())
def test_another_value_anywhere_is_read_or_refused(path: tuple[str | int, ...], value: Any, drop: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever stands at any key, reading ends with metrics or an error of exit code 76, never a traceback."""
    try:
        read_metrics(json.dumps(changed(STORED, path, value, drop=drop)).encode()).model_dump(mode="json")
    except (ArtifactCorrupt, IncompatibleArtifact) as error:
        assert METRICS in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("section", ["verdict", "evaluation", "data", "exposure", "gains"])
def test_a_section_that_is_nothing_is_damage(section: str) -> None:
    """A section may be missing; one that is there holds something."""
    with pytest.raises(ArtifactCorrupt, match=rf"{METRICS} cannot be read: {section}"):
        read_metrics(json.dumps(STORED | {section: None}).encode())


def test_a_later_minor_is_read_and_a_higher_major_is_not() -> None:
    """What a later MINOR adds is there to be passed over; a higher MAJOR asks for a newer recsys."""
    later = read_metrics(json.dumps(STORED | {"minor": 3, "invention": 1}).encode())
    assert later.verdict is not None
    assert later.verdict.score.value == STORED["verdict"]["score"]["value"]
    with pytest.raises(IncompatibleArtifact, match="install a newer recsys"):
        read_metrics(json.dumps(STORED | {"format": 2}).encode())
