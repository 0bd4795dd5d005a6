"""What dbt left in its folder ``target``: its own files, cut down by tests_apart/dbt/record.py, and changes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[1] / "data" / "dbt"
GAMES, STAGED = "model.games.mart_games", "model.games.stg_games"


class Target:
    """A folder of dbt's files, as one night left them."""

    def __init__(self, folder: Path, built: str = "built", looked_at: str = "fresh") -> None:
        self.folder = folder
        folder.mkdir()
        self._take("manifest.json", "manifest.json")
        self._take(f"run_results-{built}.json", "run_results.json")
        self._take(f"sources-{looked_at}.json", "sources.json")

    def _take(self, recorded: str, name: str) -> None:
        (self.folder / name).write_text((DATA / recorded).read_text(encoding="utf-8"), encoding="utf-8")

    def edit(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change what a file says."""
        path = self.folder / name
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    def status(self, node: str, status: str, message: str | None = None) -> None:
        """Let dbt say something else of one node, or say something of one more."""

        def change(run: dict[str, Any]) -> None:
            others = [each for each in run["results"] if each["unique_id"] != node]
            run["results"] = [*others, {"unique_id": node, "status": status, "message": message}]

        self.edit("run_results.json", change)

    def add_test(self, name: str, reads: list[str], at: str | None = None) -> None:
        """Add a test of some nodes that failed; it stands at one of them, or at none."""

        def change(manifest: dict[str, Any]) -> None:
            manifest["nodes"][name] = {} if at is None else {"attached_node": at}
            manifest["parent_map"][name] = reads

        self.edit("manifest.json", change)
        self.status(name, "fail", "Got 3 results, configured to fail if != 0")

    def add_table(self, name: str, parents: list[str]) -> None:
        """Add a table that dbt made of others."""
        self.edit("manifest.json", lambda manifest: manifest["parent_map"].update({name: parents}))
