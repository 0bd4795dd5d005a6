"""What dbt says of the marts, in the files that it leaves: ``dbt.target``. dbt itself is not needed."""

from recsys.pipeline.dbt.upstream import DbtBuild, check_upstream

__all__ = ["DbtBuild", "check_upstream"]
