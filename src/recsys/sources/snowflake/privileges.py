"""Proof that a role can only read: a walk over everything that it has been granted.

A role's rights are its own grants, those of every role and database role that it inherits, those
of PUBLIC, and, unless they are switched off, those of its user's secondary roles, which default to
all of them. A training run needs to read two tables; a role that can do more is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from recsys.errors import PrivilegeError, QueryFailed

Ask: TypeAlias = Callable[[str], list[Mapping[str, Any]]]
"""Runs one statement and returns its rows as mappings of lower-case column names."""

ALLOWED = frozenset({"USAGE", "SELECT", "REFERENCES", "MONITOR"})
"""Privileges that only read."""

SYSTEM_ROLES = frozenset({"ACCOUNTADMIN", "GLOBALORGADMIN", "ORGADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN"})
"""Roles that come with rights beyond their grants."""

_SHOWN = 10


@dataclass(frozen=True)
class Holder:
    """A role or a database role whose grants are listed.

    Attributes
    ----------
    kind
        ``ROLE`` or ``DATABASE ROLE``.
    name
        As SQL takes it: quoted.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.name}"


def secure(ask: Ask) -> tuple[str, list[str]]:
    """Switch off secondary roles, then list every right beyond reading.

    Returns
    -------
    role
        The session's role.
    excess
        One line for each right too many; empty if the role can only read.

    Raises
    ------
    PrivilegeError
        If the session has no role, or keeps secondary roles.
    QueryFailed
        If Snowflake does not answer these statements.
    """
    ask("USE SECONDARY ROLES NONE")
    session = ask("SELECT CURRENT_ROLE() AS ROLE, CURRENT_SECONDARY_ROLES() AS SECONDARY")[0]
    role, secondary = session["role"], session["secondary"]
    if not role:
        raise PrivilegeError("the Snowflake session has no role: set SNOWFLAKE_ROLE to the dedicated read-only role")
    if secondary and json.loads(secondary).get("roles"):
        raise PrivilegeError(
            f"the Snowflake session keeps secondary roles ({json.loads(secondary)['roles']}) after USE SECONDARY ROLES "
            "NONE; set the user's DEFAULT_SECONDARY_ROLES = ()"
        )
    return role, excess(role, ask)


def excess(role: str, ask: Ask) -> list[str]:
    """Walk from ``role`` and PUBLIC through every role they inherit, and describe each right beyond reading."""
    excess: list[str] = []
    todo = [Holder("ROLE", quoted(role)), Holder("ROLE", '"PUBLIC"')]
    seen = set(todo)
    while todo:
        holder = todo.pop(0)
        if holder.kind == "ROLE" and holder.name.strip('"') in SYSTEM_ROLES:
            excess.append(f"{holder} is a system role")
            continue
        for grant in _grants(holder, ask, excess):
            inherited = _inherited(grant)
            if inherited is None:
                excess += _beyond_reading(grant, holder, ask)
            elif inherited not in seen:
                seen.add(inherited)
                todo.append(inherited)
    return excess


def refusal(role: str, excess: list[str]) -> str:
    """Return the message for a role with rights beyond reading."""
    shown = "; ".join(excess[:_SHOWN]) + (f"; and {len(excess) - _SHOWN} more" if len(excess) > _SHOWN else "")
    return (
        f"role {role} can do more than read: {shown}. Use a role with USAGE and SELECT alone (docs/snowflake.md has "
        "the SQL), or set snowflake.require_read_only to warn"
    )


def quoted(name: str) -> str:
    """Return an identifier as SQL takes it whatever its letters; one that is quoted already stays so."""
    return name if name.startswith('"') else '"' + name.replace('"', '""') + '"'


def _grants(holder: Holder, ask: Ask, excess: list[str]) -> list[Mapping[str, Any]]:
    try:
        return ask(f"SHOW GRANTS TO {holder.kind} {holder.name}")
    except QueryFailed as error:
        # Rights that cannot be seen cannot be ruled out; those of Snowflake's own application, which holds no
        # user data and is granted to PUBLIC in every account, can.
        if not holder.name.startswith('"SNOWFLAKE".'):
            excess.append(f"the grants of {holder} cannot be listed ({error})")
        return []


def _inherited(grant: Mapping[str, Any]) -> Holder | None:
    """Return the role that a grant passes on, if it does."""
    if grant["privilege"] != "USAGE":
        return None
    kind = str(grant["granted_on"]).replace("_", " ")
    if kind == "ROLE":
        return Holder(kind, quoted(grant["name"]))
    if kind == "DATABASE ROLE":
        database, _, name = _split(grant["name"])
        return Holder(kind, f"{quoted(database)}.{quoted(name)}")
    return None


def _split(name: str) -> tuple[str, str, str]:
    """Split ``DB.ROLE`` at the dot between its parts, which may be quoted."""
    match = re.fullmatch(r'("(?:[^"]|"")*"|[^".]+)(\.)(.+)', name)
    return (match[1], match[2], match[3]) if match else name.partition(".")


def _beyond_reading(grant: Mapping[str, Any], holder: Holder, ask: Ask) -> list[str]:
    privilege, on, name = grant["privilege"], str(grant["granted_on"]).replace("_", " "), grant["name"]
    if privilege not in ALLOWED:
        return [f"{privilege} on {on.lower()} {name} (granted to {holder})"]
    if on == "PROCEDURE" and not _runs_as_caller(name, ask):
        return [f"{privilege} on procedure {name}, which runs with its owner's rights (granted to {holder})"]
    return []


def _runs_as_caller(name: str, ask: Ask) -> bool:
    """Return whether a procedure runs with its caller's rights; False where that is not known."""
    signature = _signature(name)
    if signature is None:
        return False
    try:
        rows = ask(f"DESCRIBE PROCEDURE {signature}")
    except QueryFailed:
        return False
    return any(row["property"] == "execute as" and str(row["value"]).upper() == "CALLER" for row in rows)


def _signature(name: str) -> str | None:
    """Turn ``DB.SCHEMA."P(A NUMBER(38,0), B VARCHAR):VARCHAR"`` into what DESCRIBE takes: names and types."""
    match = re.fullmatch(r'(.+\.)"?([^".(]+)\((.*?)\):.*', name)
    if match is None:
        return None
    arguments = re.split(r",\s*(?![^()]*\))", match[3]) if match[3].strip() else []
    types = [argument.strip().split(" ", 1)[-1] for argument in arguments]
    return f"{match[1]}{quoted(match[2])}({', '.join(types)})"
