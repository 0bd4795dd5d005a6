"""A role that can do more than read is refused, wherever it has that right from."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from recsys.errors import PrivilegeError, QueryFailed
from recsys.sources.snowflake.privileges import excess
from standins.snowflake.roles import READER, Roles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from standins.snowflake.fixtures import Warehouse

pytest_plugins = ["standins.snowflake.fixtures"]

TRAINER = 'ROLE "TRAINER"'
PUBLIC = 'ROLE "PUBLIC"'
MART = "WAREHOUSE_DB.ANALYTICS.MART_GAMES"
PROCEDURE = 'WAREHOUSE_DB.ANALYTICS."PURGE(A NUMBER(38,0), B VARCHAR):VARCHAR(16777216)"'
SIGNATURE = 'WAREHOUSE_DB.ANALYTICS."PURGE"(NUMBER(38,0), VARCHAR)'

# Each of the graphs, and what the refusal must name; None where the role can only read.
GRAPHS: dict[str, tuple[Roles, str | None]] = {
    "clean": (Roles(), None),
    "direct": (
        Roles(grants={TRAINER: [*READER, ["INSERT", "TABLE", MART]], PUBLIC: []}),
        f'INSERT on table {MART} (granted to role "TRAINER")',
    ),
    "inherited": (
        Roles(
            grants={
                TRAINER: [*READER, ["USAGE", "ROLE", "ANALYST"]],
                'ROLE "ANALYST"': [["USAGE", "ROLE", '"Data Engineer"']],
                'ROLE "Data Engineer"': [["DELETE", "TABLE", MART]],
                PUBLIC: [],
            }
        ),
        f'DELETE on table {MART} (granted to role "Data Engineer")',
    ),
    "database role": (
        Roles(
            grants={
                TRAINER: [*READER, ["USAGE", "DATABASE_ROLE", "WAREHOUSE_DB.WRITERS"]],
                'DATABASE ROLE "WAREHOUSE_DB"."WRITERS"': [["TRUNCATE", "TABLE", MART]],
                PUBLIC: [],
            }
        ),
        f'TRUNCATE on table {MART} (granted to database role "WAREHOUSE_DB"."WRITERS")',
    ),
    "ownership": (
        Roles(grants={TRAINER: [*READER, ["OWNERSHIP", "SCHEMA", "WAREHOUSE_DB.SCRATCH"]], PUBLIC: []}),
        "OWNERSHIP on schema WAREHOUSE_DB.SCRATCH",
    ),
    "system role": (
        Roles(grants={TRAINER: [*READER, ["USAGE", "ROLE", "SYSADMIN"]], PUBLIC: []}),
        'role "SYSADMIN" is a system role',
    ),
    "procedure": (
        Roles(
            grants={TRAINER: [*READER, ["USAGE", "PROCEDURE", PROCEDURE]], PUBLIC: []},
            procedures={SIGNATURE: "OWNER"},
        ),
        f"USAGE on procedure {PROCEDURE}, which runs with its owner's rights",
    ),
    "PUBLIC": (
        Roles(grants={TRAINER: READER, PUBLIC: [["CREATE TABLE", "SCHEMA", "WAREHOUSE_DB.PUBLIC"]]}),
        'CREATE TABLE on schema WAREHOUSE_DB.PUBLIC (granted to role "PUBLIC")',
    ),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_role_that_can_write_is_refused(graph: str, warehouse: Warehouse) -> None:
    """Exit code 77, the grant named, and not one query run; a role that can only read is let through."""
    roles, named = GRAPHS[graph]
    warehouse.table("MART_GAMES", "SELECT 1 AS N")
    warehouse.service.set(roles=roles)
    if named is None:
        assert warehouse.fetch("SELECT N FROM ANALYTICS.MART_GAMES").num_rows == 1
        return
    with pytest.raises(PrivilegeError) as caught:
        warehouse.fetch("SELECT N FROM ANALYTICS.MART_GAMES")
    assert caught.value.exit_code == 77
    assert named in str(caught.value)
    assert not [sql for sql in warehouse.service.seen()["statements"] if "MART_GAMES" in sql]


def test_secondary_roles_are_switched_off_first(warehouse: Warehouse) -> None:
    """They default to every role that the user has: the walk would say nothing about those."""
    warehouse.open().close()
    assert warehouse.service.seen()["statements"][0] == "USE SECONDARY ROLES NONE"


def test_secondary_roles_that_stay_are_refused(warehouse: Warehouse) -> None:
    """The switch is proved, not believed."""
    warehouse.service.set(roles=Roles(secondary="LOADER"))
    with pytest.raises(PrivilegeError, match="LOADER"):
        warehouse.open()


def test_a_session_without_a_role_is_refused(warehouse: Warehouse) -> None:
    """There is nothing to prove anything about."""
    warehouse.service.set(roles=Roles(current=None))
    with pytest.raises(PrivilegeError, match="SNOWFLAKE_ROLE"):
        warehouse.open()


def test_warn_reads_and_says_what_the_role_could_do(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    """``require_read_only = "warn"`` logs every right too many, and goes on."""
    warehouse.service.set(roles=GRAPHS["direct"][0])
    warehouse.open(require_read_only="warn").close()
    warned = [record.__dict__["recsys_keys"] for record in caplog.records if record.levelno == logging.WARNING]
    assert [event["right"] for event in warned] == [GRAPHS["direct"][1]]


def test_false_asks_nothing(warehouse: Warehouse) -> None:
    """``require_read_only = false`` leaves roles and grants alone."""
    warehouse.service.set(roles=GRAPHS["direct"][0])
    warehouse.open(require_read_only=False).close()
    assert warehouse.service.seen()["statements"] == []


def walk(roles: Roles) -> list[str]:
    """Run the walk against canned answers, without a server."""

    def ask(sql: str) -> list[Mapping[str, Any]]:
        try:
            answer = roles.answer(sql)
        except KeyError as missing:
            raise QueryFailed(f"{missing} does not exist or not authorized") from None
        assert answer is not None
        return [dict(zip(answer[0], row, strict=True)) for row in answer[1]]

    return excess("TRAINER", ask)


def test_a_procedure_that_runs_as_its_caller_is_no_right_too_many() -> None:
    """It can do what the role can do: read."""
    roles = GRAPHS["procedure"][0]
    assert walk(Roles(grants=roles.grants, procedures={SIGNATURE: "CALLER"})) == []


def test_a_procedure_that_cannot_be_described_counts_as_its_owners() -> None:
    """What cannot be seen is not assumed to be harmless."""
    assert len(walk(Roles(grants=GRAPHS["procedure"][0].grants))) == 1


def test_grants_that_cannot_be_listed_are_a_right_too_many() -> None:
    """A role whose rights are hidden is not proved to be read-only."""
    grants = walk(Roles(grants={TRAINER: [["USAGE", "ROLE", "HIDDEN"]], PUBLIC: []}))
    assert grants[0].startswith('the grants of role "HIDDEN" cannot be listed')


def test_snowflakes_own_database_roles_may_be_hidden() -> None:
    """Every account grants some of them to PUBLIC; they hold no right on anybody's data."""
    assert walk(Roles(grants={TRAINER: READER, PUBLIC: [["USAGE", "DATABASE_ROLE", "SNOWFLAKE.CORTEX_USER"]]})) == []


def test_roles_granted_in_a_circle_end_the_walk() -> None:
    """Each role is looked at once."""
    grants = {
        TRAINER: [["USAGE", "ROLE", "A"]],
        'ROLE "A"': [["USAGE", "ROLE", "B"]],
        'ROLE "B"': [["USAGE", "ROLE", "A"], ["UPDATE", "TABLE", MART]],
        PUBLIC: [],
    }
    assert walk(Roles(grants=grants)) == [f'UPDATE on table {MART} (granted to role "B")']
