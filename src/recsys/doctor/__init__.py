"""Whether a machine, its settings and its warehouse are fit for a run: found out in seconds, and nothing is changed."""

from recsys.doctor.case import Case
from recsys.doctor.examination import examine
from recsys.doctor.findings import Finding, State, exit_code

__all__ = ["Case", "Finding", "State", "examine", "exit_code"]
