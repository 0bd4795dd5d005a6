"""The faces of packages: each name they export is there, and importing a face brings nothing heavy."""

from __future__ import annotations

from importlib import import_module

import pytest

from test_import import HEAVY, imported_by

FACES = ("recsys.cli", "recsys.marts", "recsys.sources", "recsys.sources.snowflake", "recsys.system")


@pytest.mark.parametrize("package", FACES)
def test_a_face_has_what_it_names(package: str) -> None:
    """Every name of ``__all__`` can be imported; another one is an error that says so."""
    face = import_module(package)
    assert len(set(face.__all__)) == len(face.__all__)
    for name in face.__all__:
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        face.nothing_of_the_kind  # noqa: B018 - looking it up is the test


@pytest.mark.parametrize("package", FACES)
def test_a_face_is_light(package: str) -> None:
    """Names that bring libraries bring them when they are used."""
    assert not imported_by(f"import {package}") & (HEAVY - {"pyarrow"} | {"numpy"})


def test_ids_bring_no_data_frames() -> None:
    """What serves takes its ids from the face of the marts, and has no pandas."""
    assert not imported_by("from recsys.marts import Id, IdMap, split_tags") & (HEAVY - {"pyarrow"})
