"""What a mart is made of: the nodes above it in dbt's graph, and the tests that speak of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from recsys.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from recsys.pipeline.dbt.artifacts import Manifest, Node

_TESTS = ("test.", "unit_test.")
_SHOWN = 5


def mart_node(manifest: Manifest, table: str) -> str:
    """Return the unique id of the node that builds a table.

    Parameters
    ----------
    manifest
        What there is.
    table
        As in the settings: ``TABLE``, ``SCHEMA.TABLE`` or ``DATABASE.SCHEMA.TABLE``, in any case.

    Raises
    ------
    ConfigError
        If no node builds it, or more than one does.
    """
    wanted = table.lower().split(".")
    built = {name: _relation(node) for name, node in manifest.nodes.items() if node.relation_name and not is_test(name)}
    found = [name for name, relation in built.items() if relation[-len(wanted) :] == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"dbt.target: {len(found)} nodes of manifest.json build a {table}: {', '.join(sorted(found))}; name the one"
            " that is meant as DATABASE.SCHEMA.TABLE in source.games_table or source.ratings_table"
        )
    relations = sorted({".".join(relation[-2:]) for relation in built.values()})
    more = f" and {len(relations) - _SHOWN} more" if len(relations) > _SHOWN else ""
    raise ConfigError(
        f"dbt.target: no node of manifest.json builds {table}; it has {', '.join(relations[:_SHOWN]) or 'none'}{more};"
        " name the target folder of the project and environment that build the marts, or set source.games_table and"
        " source.ratings_table"
    )


@dataclass(frozen=True)
class Lineage:
    """The marts and all that they are made of.

    Attributes
    ----------
    marts
        Unique ids of the nodes that build the marts.
    upstream
        These, and every node and source above them.
    tables
        Those of them that dbt builds as tables or views of their own.
    parents
        Of each node, what it is made of; of a test, what it reads.
    attached
        Of each test that stands at a node, which one.
    """

    marts: frozenset[str]
    upstream: frozenset[str]
    tables: frozenset[str]
    parents: Mapping[str, Sequence[str]]
    attached: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest, marts: Iterable[str]) -> Self:
        """Walk up from the marts."""
        nodes = frozenset(marts)
        upstream = _above(nodes, manifest.parent_map)
        tables = frozenset(name for name, node in manifest.nodes.items() if name in upstream and node.relation_name)
        attached = {name: node.attached_node for name, node in manifest.nodes.items() if node.attached_node}
        return cls(nodes, upstream, tables, manifest.parent_map, attached)

    def concerns(self, name: str) -> bool:
        """Whether a node is what the marts are made of, or tests that.

        A test that stands at no node (a query of its own) does where it reads nothing but that, or reads a mart and
        nothing that is made of one. What stands at another table, or reads staging beside another mart, judges these.
        """
        if not is_test(name):
            return name in self.upstream
        if name in self.attached:
            return self.attached[name] in self.upstream
        read = frozenset(self.parents.get(name, ()))
        if not read & self.marts:
            return bool(read) and read <= self.upstream
        return not any(_above([node], self.parents) & self.marts for node in read - self.upstream)


def is_test(name: str) -> bool:
    """Whether a unique id is that of a test."""
    return name.startswith(_TESTS)


def _above(nodes: Iterable[str], parents: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return these nodes and all above them."""
    seen, waiting = set[str](), list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += parents.get(node, ())
    return frozenset(seen)


def _relation(node: Node) -> list[str]:
    return [(part or "").lower() for part in (node.database, node.schema_name, node.alias)]
