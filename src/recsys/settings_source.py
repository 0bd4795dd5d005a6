"""Where the values of settings come from: a TOML file, the environment, ``--set``; the later ones win.

Nothing here knows what a setting may be: :mod:`recsys.config` says that, and this module says of a
value that is refused where it was given.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from recsys.errors import ConfigError
from recsys.system.paths import local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import ValidationError

CONFIG_FILE = Path("recsys.toml")
"""Read when it exists and no other file is named."""

OWN_VARIABLES = frozenset(
    {
        "RECSYS_SIGNING_KEY",  # gone, and refused by name
        "RECSYS_SIGNING_KEY_FILE",
        "RECSYS_SIGNING_KEY_PASSPHRASE",
        "RECSYS_PUBLIC_KEY_FILES",
        "RECSYS_SERVE_TOKEN",
        "RECSYS_REAL_DATA",
        "RECSYS_FAULTS",
        "RECSYS_FAULTS_SEED",
    }
)
"""Variables of this project that are no settings: the keys of the releases, the server's token, and what the tests ask
for."""


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
        """Read the file, then the environment, then the overrides; names are taken in any case.

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
            If the file is no TOML, holds keys outside a table or a name in two cases, an override is not of that
            form, or a variable misspells a setting.
        """
        tables: dict[str, dict[str, object]] = {}
        origins: dict[str, str] = {}
        for section, key, value, origin in (
            *_from_file(config, sections),
            *_from_environment(environ, sections),
            *_from_overrides(overrides, sections),
        ):
            table = tables.setdefault(section.lower(), {})
            if key is not None:
                table[key.lower()] = value
                origins[f"{section}.{key}".lower()] = origin
        return cls(tables, origins, sections)

    def explanation(self, error: ValidationError) -> str:
        """Return one line with every setting that was refused: its name, where it was given, why it is wrong."""
        return "wrong settings: " + "; ".join(self._refusal(problem) for problem in error.errors())

    def _refusal(self, problem: Mapping[str, Any]) -> str:
        name = ".".join(str(part) for part in problem["loc"][:2])
        given = f"(from {self._origin(name)})"
        if problem["type"] == "extra_forbidden" and self._is_within(problem["loc"]):
            return f"{name}.{problem['loc'][2]} {given}: no such rule; {self._possible(name)}"
        if problem["type"] == "extra_forbidden":
            return f"{name} {given}: no such setting; {self._meant(name, problem['input'])}{self._possible(name)}"
        reason = problem["msg"].removeprefix("Value error, ")
        reason = reason[0].lower() + reason[1:]
        if len(problem["loc"]) == 1:  # of a section as a whole, whose message names the settings
            return f"{name} {given}: {reason}"
        if problem["type"] == "string_type" and isinstance(problem["input"], list):
            reason += ", not a list: several words are one text, with commas between them"
        if self._is_within(problem["loc"]):
            name = ".".join(str(part) for part in problem["loc"])
        return f"{name} = {problem['input']!r} {given}: {reason}"

    def _is_within(self, place: Sequence[object]) -> bool:
        """Whether a place is within a table of a section, such as a scenario: the third name is a key there."""
        table = self.tables.get(str(place[0]), {}).get(str(place[1])) if len(place) > 2 else None
        return isinstance(table, dict) and place[2] in table

    def _origin(self, name: str) -> str:
        """Return where a setting was given, or the first of a section's."""
        of_section = (origin for given, origin in self.origins.items() if given.startswith(f"{name}."))
        return self.origins.get(name) or next(of_section, "arguments")

    def _meant(self, name: str, value: object) -> str:
        """Return the spellings that a name of nothing is nearest to, in words; empty where none is near."""
        near = (_nearest(each, self.sections) for each in _leaves(name, value))
        meant = dict.fromkeys(spelling for spelling in near if spelling)
        return f"did you mean {', '.join(meant)}? " if meant else ""

    def _possible(self, name: str) -> str:
        section = name.partition(".")[0]
        keys = self.sections.get(section)
        return _sections(self.sections) if keys is None else f"[{section}] has " + ", ".join(keys)


def _sections(sections: Mapping[str, Sequence[str]]) -> str:
    return "sections are " + ", ".join(sections)


def _leaves(name: str, value: object) -> Iterator[str]:
    """Yield the ``section.key`` of each value below a name: a table may be nested too deep."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(f"{name}.{key}", below)
    else:
        yield ".".join(name.split(".")[-2:])


def _nearest(given: str, sections: Mapping[str, Sequence[str]]) -> str | None:
    """Return the setting that a ``section.key`` is most like, or the ``[section]`` that a bare word is; None for none.

    Case does not count, nor whether words are joined by ``_``, ``-`` or a dot.
    """
    names = {f"{section}.{key}": f"{section}.{key}" for section, keys in sections.items() for key in keys}
    if "." not in given:
        names = {section: f"[{section}]" for section in sections}
    plain = {re.sub(r"[\W_]+", "", name): name for name in names}
    wanted = re.sub(r"[\W_]+", "", given).lower()
    keys = [name for name in names if name.rpartition(".")[2] == given.rpartition(".")[2].lower()]
    if wanted not in plain and "." in given and len(keys) == 1:
        return names[keys[0]]  # the right key in another section
    close = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.75)
    return names[plain[close[0]]] if close else None


def _from_file(config: Path | None, sections: Mapping[str, Sequence[str]]) -> Iterator[_Value]:
    """Yield the values of a file, and its empty tables: their names may be wrong."""
    path = local_path(config or CONFIG_FILE, "--config")
    if config is None and not os.path.lexists(path):
        return
    try:
        # A byte order mark, which editors on Windows write, is no part of the text.
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"configuration file {path} does not exist; --config takes an existing TOML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"configuration file {path} cannot be read as TOML: {error}; save it with the encoding UTF-8"
        ) from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"configuration file {path} cannot be read as TOML: {error}") from None
    _refuse_loose(path, tree, sections)
    spelled: dict[str, str] = {}
    for section, table in tree.items():
        for key, value in table.items() or [(None, None)]:
            name = section if key is None else f"{section}.{key}"
            if (other := spelled.setdefault(name.lower(), name)) != name:
                raise ConfigError(f"{path}: {other} and {name} are the same setting; keep one of them")
            yield _Value(section, key, value, str(path))


def _refuse_loose(path: Path, tree: Mapping[str, object], sections: Mapping[str, Sequence[str]]) -> None:
    """Refuse what stands at the top of a file and is no table."""
    loose = sorted(key for key, value in tree.items() if not isinstance(value, dict))
    if lists := [key for key in loose if key in sections]:
        name = lists[0]
        raise ConfigError(f"{path}: {name} = {tree[name]!r} is no table; write [{name}] once, and its settings below")
    if loose:
        owners = [f"[{section}]" for section, keys in sections.items() if set(loose) & set(keys)]
        where = " or ".join(owners) or "such as [cf]"
        raise ConfigError(f"{path}: {', '.join(loose)} must stand in a table {where}; {_sections(sections)}")


def _from_environment(environ: Mapping[str, str], sections: Mapping[str, Sequence[str]]) -> list[_Value]:
    """Return the values of the environment; a variable that is empty counts as unset."""
    values: dict[tuple[str, str], _Value] = {}
    slips = []
    for variable, value in sorted(environ.items()):
        match = re.fullmatch(r"RECSYS_([A-Z0-9]+)__(\w+)", variable.upper())
        if not value:
            continue
        if match:
            setting = match[1].lower(), match[2].lower()
            if (other := values.get(setting)) and other.value != value:
                slips.append(f"{other.origin} and {variable} are the same setting with two values")
            values[setting] = _Value(*setting, value, variable)
        elif meant := _meant(variable.upper(), sections):
            slips.append(f"{variable} is no setting; {meant} is one")
    if slips:
        raise ConfigError(f"wrong variables of the environment: {'; '.join(slips)}. Rename or unset them")
    return list(values.values())


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


def _from_overrides(overrides: Sequence[str], sections: Mapping[str, Sequence[str]]) -> list[_Value]:
    values = []
    for text in overrides:
        match = re.fullmatch(r"(\w+)\.(\w+)=(.*)", text, re.DOTALL)
        if not match:
            name, _, value = text.partition("=")
            meant = _nearest(f".{name.strip()}", sections)
            example = f"{meant}={value.strip() or '…'}" if meant else "cf.factors=64"
            raise ConfigError(f"--set {text!r} is not of the form section.key=value, such as --set {example}")
        values.append(_Value(match[1], match[2], match[3], "--set"))
    return values
