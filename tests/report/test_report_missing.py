"""What a section says where metrics.json says nothing."""

from __future__ import annotations

import pytest

from recsys.release.metrics import Exposure, Metrics
from recsys.report.contents import Contents, Facts
from recsys.report.missing import Missing, evaluated, said, whole


def test_a_release_without_metrics_was_not_evaluated() -> None:
    """The sentence names the file that is not there."""
    with pytest.raises(Missing, match=r"holds no metrics\.json"):
        evaluated(Contents(Facts("now")))


@pytest.mark.parametrize("nothing", [None, (), {}, Exposure()])
def test_what_is_empty_says_nothing(nothing: object) -> None:
    """Null, an empty list or object, and a part that is not there: the sentence names the way to it."""
    with pytest.raises(Missing, match="nothing about “a › b”"):
        said(nothing, "a", "b")


def test_what_is_there_is_returned() -> None:
    """Zero and false are something."""
    assert said(0, "a") == 0
    assert said(Metrics(learning_curve=(0.1,)).learning_curve, "a") == (0.1,)


def test_the_first_key_that_lacks_is_named() -> None:
    """A part of which another version wrote less is not shown as if it were empty."""
    with pytest.raises(Missing, match="'recommended' is missing"):
        whole(Exposure(games=(1,), ratings=(1.0,)))
