"""Answers about roles and grants, which fakesnow does not know."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

READER = [
    ["USAGE", "DATABASE", "WAREHOUSE_DB"],
    ["USAGE", "SCHEMA", "WAREHOUSE_DB.ANALYTICS"],
    ["USAGE", "WAREHOUSE", "TRAINING_WH"],
    ["SELECT", "TABLE", "WAREHOUSE_DB.ANALYTICS.MART_GAMES"],
    ["SELECT", "VIEW", "WAREHOUSE_DB.ANALYTICS.MART_USER_RATINGS"],
    ["REFERENCES", "TABLE", "WAREHOUSE_DB.ANALYTICS.MART_GAMES"],
    ["MONITOR", "WAREHOUSE", "TRAINING_WH"],
]
"""The grants of a role that can only read."""

_GRANT = ["created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name", "grant_option", "granted_by"]


@dataclass
class Roles:
    """The session's role, and who has been granted what.

    Attributes
    ----------
    current
        The session's role; None for none.
    secondary
        Active secondary roles after they were switched off: empty in a service that obeys.
    grants
        Rows of privilege, kind and name, by holder as SHOW GRANTS names it.
    procedures
        ``OWNER`` or ``CALLER``, by signature as DESCRIBE PROCEDURE takes it.
    """

    current: str | None = "TRAINER"
    secondary: str = ""
    grants: dict[str, list[list[str]]] = field(default_factory=lambda: {'ROLE "TRAINER"': READER, 'ROLE "PUBLIC"': []})
    procedures: dict[str, str] = field(default_factory=dict)

    def answer(self, sql: str) -> tuple[list[str], list[list[str | None]]] | None:
        """Return columns and rows for a statement about roles, or None if it is about something else.

        Raises
        ------
        KeyError
            If it names what does not exist, or may not be seen.
        """
        if re.fullmatch(r"USE SECONDARY ROLES NONE", sql):
            return ["status"], [["Statement executed successfully."]]
        if sql.startswith("SELECT CURRENT_ROLE()"):
            return ["ROLE", "SECONDARY"], [[self.current, json.dumps({"roles": self.secondary, "value": ""})]]
        if match := re.fullmatch(r"SHOW GRANTS TO (.+)", sql):
            rows: list[list[str | None]] = [
                ["2026-01-01", privilege, kind, name, "ROLE", match[1], "false", "SECURITYADMIN"]
                for privilege, kind, name in self.grants[match[1]]
            ]
            return _GRANT, rows
        if match := re.fullmatch(r"DESCRIBE PROCEDURE (.+)", sql):
            return ["property", "value"], [["language", "SQL"], ["execute as", self.procedures[match[1]]]]
        return None
