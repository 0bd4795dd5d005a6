"""What a release says of how it was made, read so that it can be made again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import ValidationError

from recsys.cf_settings import still_there
from recsys.config import CfSettings, Settings
from recsys.errors import IncompatibleArtifact, ReleaseError
from recsys.release.formats import read_game_ids, read_vectors
from recsys.release.layout import INDEX, METADATA, METRICS, MODEL
from recsys.release.verify import verify

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from recsys.marts.ids import Id
    from recsys.release.manifest import Manifest
    from recsys.release.store import ReleaseStore

AnySettings = TypeVar("AnySettings", Settings, CfSettings)


@dataclass(frozen=True)
class RecordedRelease:
    """A release, every byte checked, and what decided its bytes.

    Attributes
    ----------
    folder
        Where it lies.
    manifest
        What it says about itself.
    ids
        Its games, in the order of the index.
    vectors
        float32, (games, dimension): their vectors.
    metrics
        The content of ``metrics.json``.
    judged_beside
        The release that its candidate was held against; None where there was none.
    lost
        Why that release cannot be read; empty where it can, or there was none.
    """

    folder: Path
    manifest: Manifest
    ids: list[Id]
    vectors: npt.NDArray[np.float32]
    metrics: Mapping[str, Any]
    judged_beside: Manifest | None
    lost: str = ""

    @classmethod
    def read(cls, store: ReleaseStore, name: str) -> Self:
        """Check a release, and read its records.

        Parameters
        ----------
        store
            Where it is; nothing is written there.
        name
            A run id, or ``current``.

        Raises
        ------
        ReleaseError
            If it is not sound, or does not record what a rebuild needs.
        """
        manifest = store.manifest(name)
        if manifest.content.trained_by != manifest.cf.trained_by:
            raise ReleaseError(
                f"{manifest.release} cannot be rebuilt: its halves come from two runs ({manifest.content.trained_by}"
                f" and {manifest.cf.trained_by}), each with marts of its own; a release of `recsys train` can be"
            )
        files = verify(store.path(name), keep=[INDEX, METADATA, METRICS], keys=store.keys.public)
        if manifest.facts.recipe is None or METRICS not in files.contents:
            lacks = "the recipe that it was trained by" if manifest.facts.recipe is None else METRICS
            raise ReleaseError(f"{manifest.release} cannot be rebuilt: it does not hold {lacks}")
        beside, lost = _judged_beside(store, manifest)
        return cls(
            files.path,
            manifest,
            read_game_ids(files.contents[METADATA]),
            read_vectors(files.contents[INDEX]),
            json.loads(bytes(files.contents[METRICS])),
            beside,
            lost,
        )

    @property
    def recipe(self) -> CfSettings:
        """The settings that its collaborative filter was trained by, nothing left open.

        Raises
        ------
        IncompatibleArtifact
            If this version cannot train by them.
        """
        return self._read(CfSettings, still_there(self.manifest.facts.recipe or {}))

    @property
    def tuning(self) -> Mapping[str, Any] | None:
        """The search that found the recipe: the clock may have ended it, and it is taken as it is."""
        found: Mapping[str, Any] | None = self.metrics.get("tuning")
        return found

    @property
    def read_at(self) -> str | None:
        """The moment as of which both marts were read; None where the source has no past, or nobody recorded it."""
        return self.manifest.facts.read_at

    def settings(self, here: Settings) -> Settings:
        """Return the settings of the run that made it.

        Which source is read, how Snowflake is asked and how texts are encoded (engine, device, threads, cache) decide
        no byte that is compared: those are this machine's.

        Parameters
        ----------
        here
            This machine's settings.

        Raises
        ------
        IncompatibleArtifact
            If this version does not know them.
        """
        content, cf = self.manifest.content, self.manifest.cf
        tables: dict[str, Any] = {**cf.settings, **content.settings}
        del tables["recipe"]
        tables["source"] = {**content.section("source"), "url": here.source.url}
        tables["snowflake"] = here.snowflake.model_dump()
        tables["cf"] = still_there(cf.section("cf"))
        decisive: Any = content.inputs()["settings"]
        tables["content"] = {**here.content.model_dump(), **decisive["content"]}
        tables["release"] = {"user_factors": MODEL in self.manifest.files}
        return self._read(Settings, tables)

    def _read(self, kind: type[AnySettings], recorded: Mapping[str, Any]) -> AnySettings:
        try:
            return kind.model_validate(recorded)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise IncompatibleArtifact(
                f"{self.manifest.release} was made with settings that this version cannot train by ({wrong}); rebuild"
                " it with the version that made it"
            ) from error


def _judged_beside(store: ReleaseStore, manifest: Manifest) -> tuple[Manifest | None, str]:
    """Return what the candidate was held against, or why that is not known any more."""
    trained_by = manifest.content.trained_by
    try:
        # A release that publishes the models of another one again, with other scenarios, carries that one's trial.
        made = manifest if trained_by == manifest.release else store.manifest(trained_by)
        return (None if made.replaces is None else store.manifest(made.replaces)), ""
    except ReleaseError as error:
        return None, " ".join(str(error).split())
