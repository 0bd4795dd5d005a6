"""The encoder of a run: it goes on where the current release is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.embedding import open_encoder as open_new
from recsys.embedding.plan import require_engine, require_precision
from recsys.errors import ReleaseError
from recsys.release.verify import read_manifest

if TYPE_CHECKING:
    from recsys.config import ContentSettings
    from recsys.embedding.encoder import TextEncoder
    from recsys.release.records import Json
    from recsys.release.standing import Standing


def open_encoder(settings: ContentSettings, standing: Standing | None) -> TextEncoder:
    """Return the encoder of the settings, in the precision of the current release where they leave it open.

    A fleet of unlike machines would embed the whole catalogue anew at every change otherwise.

    Parameters
    ----------
    settings
        Section ``content``.
    standing
        The current release; one that cannot be read keeps nothing, and is told of where the run judges it.

    Raises
    ------
    ConfigError, MissingExtra, ModelNotFound
        As :func:`recsys.embedding.open_encoder`; what it raises at the first text too, where it can be known now.
    """
    recipe = {} if standing is None else _recipe(standing)
    encoder = open_new(settings, {name: str(value) for name, value in recipe.items()})
    require_engine(encoder.plan)
    if settings.precision != "auto":
        require_precision(encoder.plan)
    return encoder


def _recipe(standing: Standing) -> dict[str, Json]:
    if standing.current is None:
        return {}
    try:
        return read_manifest(standing.current, standing.keys).content.section("recipe")
    except ReleaseError:
        return {}
