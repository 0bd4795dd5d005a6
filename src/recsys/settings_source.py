"""Where the values of settings come from: a TOML file, the environment, ``--set``; the later ones win.

Nothing here knows what a setting may be: :mod:`recsys.config` says that, and this module says of a
value that is refused where it was given.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import ValidationError

CONFIG_FILE = Path("recsys.toml")
"""Read when it exists and no other file is named."""

OWN_VARIABLES = frozenset({"RECSYS_SIGNING_KEY", "RECSYS_REAL_DATA", "RECSYS_FAULTS", "RECSYS_FAULTS_SEED"})
"""Variables of this project that are no settings: the key of the releases, and what the tests ask for."""


class _Value(NamedTuple):
    """A value as it was given: for which setting, and where; no key for an empty table."""

    section: str
    key: str | None
    value: object
    origin: str


@dataclass(frozen=True)
class SettingsSource:
    """Values that were given, before anybody has looked whether they are right.

    Attributes
    ----------
    tables
        Values by section and key: as TOML has them, or texts.
    origins
        By ``section.key``: the file, the variable, or ``--set``.
    sections
        The keys that each section has.
    """

    tables: Mapping[str, Mapping[str, object]]
    origins: Mapping[str, str]
    sections: Mapping[str, Sequence[str]]

    @classmethod
    def read(
        cls,
        sections: Mapping[str, Sequence[str]],
        config: Path | None,
        overrides: Sequence[str],
        environ: Mapping[str, str],
    ) -> Self:
        """Read the file, then the environment, then the overrides.

        Parameters
        ----------
        sections
            The keys that each section has.
        config
            A TOML file; None for :data:`CONFIG_FILE`, if there is one.
        overrides
            ``section.key=value`` texts.
        environ
            The environment; ``RECSYS_SECTION__KEY`` names a setting.

        Raises
        ------
        ConfigError
            If the file is no TOML or holds keys outside a table, an override is not of that form, or a
            variable misspells a setting.
        """
        tables: dict[str, dict[str, object]] = {}
        origins: dict[str, str] = {}
        for section, key, value, origin in (
            *_from_file(config, sections),
            *_from_environment(environ, sections),
            *_from_overrides(overrides),
        ):
            table = tables.setdefault(section, {})
            if key is not None:
                table[key] = value
                origins[f"{section}.{key}"] = origin
        return cls(tables, origins, sections)

    def explanation(self, error: ValidationError) -> str:
        """Return one line with every setting that was refused: its name, where it was given, why it is wrong."""
        refused = []
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"][:2])
            if problem["type"] == "extra_forbidden":
                why = f"{name} (from {self._origin(name)}): no such setting; {self._possible(name)}"
            else:
                reason = problem["msg"][0].lower() + problem["msg"][1:]
                why = f"{name} = {problem['input']!r} (from {self._origin(name)}): {reason}"
            refused.append(why)
        return "wrong settings: " + "; ".join(refused)

    def _origin(self, name: str) -> str:
        """Return where a setting was given, or the first of a section's."""
        of_section = (origin for given, origin in self.origins.items() if given.startswith(f"{name}."))
        return self.origins.get(name) or next(of_section, "arguments")

    def _possible(self, name: str) -> str:
        section = name.partition(".")[0]
        keys = self.sections.get(section)
        return _sections(self.sections) if keys is None else f"[{section}] has " + ", ".join(keys)


def _sections(sections: Mapping[str, Sequence[str]]) -> str:
    return "sections are " + ", ".join(sections)


def _from_file(config: Path | None, sections: Mapping[str, Sequence[str]]) -> Iterator[_Value]:
    """Yield the values of a file, and its empty tables: their names may be wrong."""
    path = config or CONFIG_FILE
    if config is None and not path.is_file():
        return
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"configuration file {path} does not exist; --config takes an existing TOML file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"configuration file {path} cannot be read as TOML: {error}") from None
    loose = sorted(key for key, value in tree.items() if not isinstance(value, dict))
    if loose:
        raise ConfigError(f"{path}: {', '.join(loose)} must stand in a table such as [cf]; {_sections(sections)}")
    for section, table in tree.items():
        for key, value in table.items() or [(None, None)]:
            yield _Value(section, key, value, str(path))


def _from_environment(environ: Mapping[str, str], sections: Mapping[str, Sequence[str]]) -> list[_Value]:
    values, slips = [], []
    for variable, value in sorted(environ.items()):
        match = re.fullmatch(r"RECSYS_([A-Z0-9]+)__(\w+)", variable.upper())
        if match:
            values.append(_Value(match[1].lower(), match[2].lower(), value, variable))
        elif meant := _meant(variable.upper(), sections):
            slips.append(f"{variable} is no setting; {meant} is one")
    if slips:
        raise ConfigError(f"wrong variables of the environment: {'; '.join(slips)}. Rename or unset them")
    return values


def _meant(variable: str, sections: Mapping[str, Sequence[str]]) -> str | None:
    """Return the setting that a variable without a section of its own misspells: other underscores, or one edit.

    What is further away is none of ours: Kubernetes puts ``RECSYS_PORT_80_TCP`` and the like into pods.
    """
    if variable in OWN_VARIABLES or not variable.startswith("RECSYS"):
        return None
    names = [f"RECSYS_{section}__{key}".upper() for section, keys in sections.items() for key in keys]
    bare = variable.replace("_", "")
    return next((name for name in names if _one_edit(bare, name.replace("_", ""))), None)


def _one_edit(a: str, b: str) -> bool:
    """Whether two texts are equal but for one sign that was changed, left out or added, or two that changed places."""
    if abs(len(a) - len(b)) > 1:
        return False
    start = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    left, right = a[start:], b[start:]
    swapped = left[:2] == right[:2][::-1] and left[2:] == right[2:]
    return left == right or left[1:] == right[1:] or left[1:] == right or left == right[1:] or swapped


def _from_overrides(overrides: Sequence[str]) -> list[_Value]:
    values = []
    for text in overrides:
        match = re.fullmatch(r"(\w+)\.(\w+)=(.*)", text, re.DOTALL)
        if not match:
            raise ConfigError(f"--set {text!r} is not of the form section.key=value, such as --set cf.factors=64")
        values.append(_Value(match[1], match[2], match[3], "--set"))
    return values
