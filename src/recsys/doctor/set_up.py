"""What is set for a run: variables of the environment, and settings."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from recsys.doctor.findings import Seen

if TYPE_CHECKING:
    from recsys.doctor.case import Case


def variables(case: Case) -> Seen:
    """Name the variables that are set, and those of our prefixes that nobody reads; no value is shown."""
    from recsys.release.keys import PublicKeys, SigningKey
    from recsys.settings_source import OWN_VARIABLES
    from recsys.sources.snowflake.names import ALIASES, NAMES, PREFIX, WRITING_PREFIX

    SigningKey.from_environment(PublicKeys.from_environment(case.environ), case.environ)
    ours = ("SNOWFLAKE_", "RECSYS_")
    given = sorted(name for name, value in case.environ.items() if value and name.upper().startswith(ours))
    known = {prefix + name for prefix in (PREFIX, WRITING_PREFIX) for name in (*NAMES, *ALIASES)} | OWN_VARIABLES
    read = [name for name in given if name in known or re.fullmatch(r"RECSYS_[A-Z0-9]+__\w+", name.upper())]
    unread = [name for name in given if name not in read]
    text = f"set: {', '.join(read)}" if read else "no SNOWFLAKE_* or RECSYS_* is set"
    return Seen(
        text + (f"; read by nobody here: {', '.join(unread)}" if unread else ""), {"set": read, "unread": unread}
    )


def settings(case: Case) -> Seen:
    """Read the settings and their scenarios, and say which were given, and where."""
    from recsys.config import load_settings, sections
    from recsys.pipeline.scenarios import read_scenarios
    from recsys.settings_source import SettingsSource

    case.settings = load_settings(case.config, case.overrides, case.environ)
    read_scenarios(case.settings.scenario)
    given = SettingsSource.read(sections(), case.config, case.overrides, case.environ).origins
    origins: dict[str, list[str]] = defaultdict(list)
    for name, origin in given.items():
        origins[origin].append(name)
    text = "; ".join(f"{origin}: {', '.join(names)}" for origin, names in origins.items())
    return Seen(text or "all are the defaults (no recsys.toml here)", {"given": dict(given)})
