"""What JSON files of a release hold, as typed records, and how their formats may grow.

A format is MAJOR.MINOR: ``format`` is MAJOR, ``minor`` the rest (0 where it is missing). Keys that a later
MINOR adds are passed over. MAJOR rises where passing over would change an answer, and then the file is refused.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, SerializerFunctionWrapHandler, ValidationError, model_serializer

from recsys.errors import ArtifactCorrupt, IncompatibleArtifact

Json = JsonValue
"""Any value of JSON."""


class Format(NamedTuple):
    """Version of a file's layout."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Record(BaseModel):
    """An immutable object of JSON; keys that it does not know are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Finding(Record):
    """A record that writes only what it was given: a key that was missing stays missing."""

    @model_serializer(mode="wrap")
    def _as_given(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {key: value for key, value in write(self).items() if key in self.model_fields_set}


class _Stamp(Record):
    format: int
    minor: int = 0


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_record(name: str, data: bytes, kind: type[AnyRecord], newest: Format) -> AnyRecord:
    """Read a JSON file that bears its format.

    Parameters
    ----------
    name
        The file's name.
    data
        Its content.
    kind
        What it must hold.
    newest
        The format that this version writes; any MINOR of its MAJOR, and of those before, is read.

    Raises
    ------
    IncompatibleArtifact
        If its MAJOR is higher.
    ArtifactCorrupt
        If it is no such file.
    """
    stamp = _checked(name, data, _Stamp)
    if stamp.format > newest.major:
        raise IncompatibleArtifact(
            f"{name} has format {stamp.format}.{stamp.minor}; this version reads format 1.0 to {newest.major}.x:"
            " install a newer recsys"
        )
    if stamp.format < 1 or stamp.minor < 0:
        raise ArtifactCorrupt(f"{name} cannot be read: there is no format {stamp.format}.{stamp.minor}")
    return _checked(name, data, kind)


def _checked(name: str, data: bytes, kind: type[AnyRecord]) -> AnyRecord:
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'its top'}: {fault['msg']}" for fault in error.errors()]
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ArtifactCorrupt(f"{name} cannot be read: {'; '.join(faults[:3])}{more}") from error
