"""The card of a hold: who placed it, when and why."""

from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field

from recsys.errors import ArgumentError
from recsys.release.line import checked_name, checked_reason
from recsys.release.records import Format, Record
from recsys.release.secrets import secret_values

FORMAT = Format(1, 0)
"""The layout that is written."""

_Reason = Annotated[str, AfterValidator(checked_reason)]
_Name = Annotated[str, AfterValidator(checked_name)]


class Card(Record):
    """What the file of a hold says.

    Attributes
    ----------
    format, minor
        Version of its layout.
    reason, by
        Why, and who.
    since
        When, in UTC: ``2026-11-27T03:40:00Z``.
    rolled_back_from, rolled_back_to
        The releases of the rollback that it was placed with; None where there was none, or it is not known.
    """

    format: int = FORMAT.major
    minor: int = FORMAT.minor
    reason: _Reason
    by: _Name
    since: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
    rolled_back_from: _Name | None = None
    rolled_back_to: _Name | None = None

    @classmethod
    def signed(cls, reason: str, by: str | None = None) -> Self:
        """Return the card of a hold that is placed now.

        Parameters
        ----------
        reason
            Why.
        by
            Who; the user of the operating system when not given.

        Raises
        ------
        ArgumentError
            If one of them is blank, too long or not one line of text, or holds a secret of the environment.
        """
        by = user() if by is None else by
        checked_reason(reason), checked_name(by)
        for variable, secret in secret_values().items():
            if secret in reason or secret in by:
                raise ArgumentError(f"the reason or the name holds the value of {variable}: leave it out")
        return cls(reason=reason, by=by, since=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def rolled_back(self, before: str | None, after: str) -> Self:
        """Return the card of a hold that is placed with a rollback; ``before`` is None where it is not known."""
        left = None if before == after else before
        return self.model_copy(update={"rolled_back_from": left, "rolled_back_to": after})


def user() -> str:
    """Return the user of the operating system that this process belongs to."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, whose users often have no names
        return f"uid {os.getuid()}"
