"""How a model's settings are given: one object, and what to say where they come otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from recsys.errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.settings_table import Documented

AnySettings = TypeVar("AnySettings", bound="Documented")


def settings_given(
    model: str, kind: type[AnySettings], settings: AnySettings | None, loose: Mapping[str, object]
) -> AnySettings:
    """Return the settings of a model; the defaults where none were given.

    Parameters
    ----------
    model
        Name of the class, for the error.
    kind
        What its settings are.
    settings
        As they were given.
    loose
        Arguments that the class does not have: perhaps settings that were given one by one.

    Raises
    ------
    ArgumentTypeError
        If settings were given otherwise than as one object: the message says how.
    """
    if loose:
        known = [name for name in loose if name in kind.model_fields]
        unknown = [name for name in loose if name not in kind.model_fields]
        right = f"{model}({kind.__name__}({', '.join(f'{name}={loose[name]!r}' for name in known) or '…'}))"
        none = (
            f"; there is no setting {', '.join(map(repr, unknown))}: {', '.join(kind.model_fields)}" if unknown else ""
        )
        raise ArgumentTypeError(f"{model} takes its settings as one object: write {right}{none}")
    if settings is not None and not isinstance(settings, kind):
        raise ArgumentTypeError(
            f"{model} takes {kind.__name__}(…), and was given {type(settings).__name__} {settings!r:.60}: write"
            f" {model}({kind.__name__}({next(iter(kind.model_fields))}=…))"
        )
    return kind() if settings is None else settings
