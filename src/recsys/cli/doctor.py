"""``recsys doctor``: whether everything is there for a run."""

from __future__ import annotations

import sys
import textwrap
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import Config, Json, Output, Overrides, Source, Verbose, is_finite, overrides
from recsys.cli.state import begin
from recsys.cli.tables import WIDTH, aligned
from recsys.system import streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsys.doctor import Case, Finding

_MARKS = {"sound": "✓", "failed": "✗"}


def doctor(
    context: typer.Context,
    *,
    source: Source = None,
    output: Output = None,
    config: Config = None,
    set_: Overrides = None,
    bench: Annotated[
        bool, typer.Option("--bench", help="Measure the ways of encoding too, and say which settings pin the best.")
    ] = False,
    limit: Annotated[
        float,
        typer.Option(min=1, callback=is_finite, help="Seconds that the checks may take together.", metavar="SECONDS"),
    ] = 12.0,
    json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Look whether everything is there for a run: a line for each check, and what to do where one fails.

    ✓ is sound, ✗ failed, – does not apply or needs a check that failed. Ends with the exit code of the first failure.
    Nothing is written that stays, of the marts no more is fetched than counts and some ids, and Snowflake is
    waited for no longer than --limit, whatever the settings allow.
    """
    begin(context, json=json, verbose=verbose, quiet=True)
    from recsys.doctor import Case, State, examine, exit_code

    case, findings = Case(output, limit, config, overrides(set_, source)), list["Finding"]()
    for finding in examine(case):
        findings.append(finding)
        if not json:
            streams.tell(_line(finding))
    failed = [each for each in findings if each.state is State.failed]
    code, fit = exit_code(findings), not {"encoder", "model"} & {each.check for each in failed}
    if json:
        whole = {"status": "failed" if failed else "sound", "exit_code": code}
        rows = [each.as_json() for each in findings]
        speeds = {"bench": _measured(case)} if bench and fit else {}
        streams.tell(streams.as_json({**whole, "checks": rows, **speeds}))
        return code
    if bench:
        streams.tell(_table(_measured(case)) if fit else "nothing was measured: that needs encoder and model")
    streams.tell(_summary(findings, failed, code))
    return code


def _line(finding: Finding) -> str:
    head = f"{_MARKS.get(finding.state, '–')} {finding.check:<10}"
    width = get_terminal_size().columns if streams.is_terminal(sys.stdout) else WIDTH
    # A path or a command stays whole.
    lines = textwrap.wrap(finding.text, max(width - len(head), 40), break_long_words=False, break_on_hyphens=False)
    return head + f"\n{' ' * len(head)}".join(lines)


def _summary(findings: Sequence[Finding], failed: Sequence[Finding], code: int) -> str:
    if failed:
        return f"\n{len(failed)} of {len(findings)} checks failed, the first is {failed[0].check}: exit code {code}"
    return "\neverything is there for a run; `recsys train --dry-run` reads the marts, and says what it would do"


def _measured(case: Case) -> dict[str, object]:
    from recsys.doctor.bench import measured

    return measured(case)


def _table(speeds: Mapping[str, Any]) -> str:
    rows = [
        (row["engine"], row["precision"], row["device"], f"{row['per_second']:.0f}", "a run's" if row["taken"] else "")
        for row in speeds["ways"]
    ]
    table, pin = aligned([("engine", "precision", "device", "texts/s", ""), *rows], numbers=(3,)), speeds["pin"]
    given = " ".join(f"--set content.{name}={value}" for name, value in pin.items())
    if speeds["as_planned"]:
        return f"\n{table}\nno way is faster than a run's by a tenth; to pin it: {given}"
    lines = "\n".join(f'  {name} = "{value}"' for name, value in pin.items())
    return (
        f"\n{table}\nanother way is {speeds['times']:.2f} times as fast as a run's; in recsys.toml it is\n\n"
        f"  [content]\n{lines}\n\nand on a command line {given}\n(another precision encodes every text anew, once)"
    )
