"""Every failure a run can end with, and the exit code of each branch.

::

    RecsysError                                            exit
    ├── DataContractError      (ValueError)                  65   the marts break a rule
    │   ├── EmptyResult                                           a query answered no rows
    │   └── DataDrifted                                           too far from the current release's data
    ├── SourceError            (ConnectionError)                  the warehouse failed us
    │   ├── SourceUnavailable                                69   outage, refused, unknown host
    │   │   └── SourceNotFound                               66   missing file or folder
    │   ├── SourceChanged                                    69   a mart was replaced while it was read
    │   ├── QueryFailed                                      66   missing table, column or right
    │   ├── TruncatedResult                                  69   fewer rows than the source announced
    │   ├── DeadlineExceeded                                 75   the source hung; worth a retry
    │   └── AuthenticationFailed                             77   wrong credentials; never retry
    ├── PrivilegeError         (PermissionError)             77   the role can do more than read
    ├── ArtifactWriteError     (OSError)                     73   staging or publishing failed
    ├── StoreError             (ConnectionError)             69   the object store of the releases failed us
    │   └── StoreRefused                                     77   wrong credentials, or no right
    ├── LockHeld                                             75   another process is at work
    ├── ReleaseError           (ValueError)                  76   a release cannot be used
    │   ├── ArtifactCorrupt                                       its bytes are not what was published
    │   ├── IncompatibleArtifact                                  written by a newer format
    │   └── ReleaseNotFound                                       no such release
    ├── QualityGateFailed                                     3   the candidate was refused
    │   └── Diverged                                              its factors are not finite: there is nothing to score
    ├── PublishingHeld                                        3   somebody holds publishing, until it is lifted
    ├── NotInModel             (KeyError)                    65   an id that the model has never seen
    ├── ConfigError            (ValueError)                  78   a setting or the environment is wrong
    │   └── ArgumentError                                         what was asked is no question that can be answered
    │       └── ArgumentTypeError (TypeError)                     an argument is another kind of thing than was expected
    └── MissingDependency      (ImportError)                 78   the installation lacks something
        ├── MissingExtra                                          an optional package group
        └── ModelNotFound                                         the embedding model

Each branch is also the builtin that the design names, so that callers who know nothing of this
package can catch it. Beware: ``ConnectionError`` and ``PermissionError`` are both ``OSError``; an
``except OSError`` around a run would mislabel a failed fetch as a failed write. Catch
:class:`RecsysError`, or the branch you mean.
"""

from __future__ import annotations

from typing import ClassVar

from recsys import DISTRIBUTION

UNFORESEEN = 70
"""Exit code of an exception that is not a :class:`RecsysError`: a bug."""
RETRY = frozenset({69, 75})
"""Exit codes that are worth one more try, after a pause; the others would end the same."""


class RecsysError(Exception):
    """Root of the tree. ``str(error)`` is one message for people, with the next step in it.

    Attributes
    ----------
    exit_code
        The exit code of a command that ends with it.
    next_step
        What to do about errors of this kind, for a log that people search.
    """

    exit_code: ClassVar[int] = UNFORESEEN
    next_step: ClassVar[str] = "report it, with the traceback that -v shows"

    def __str__(self) -> str:
        """Return the message alone, also where a builtin base (``KeyError``) would quote it."""
        return " ".join(str(arg) for arg in self.args)


class DataContractError(RecsysError, ValueError):
    """The marts break a rule of the data contract."""

    exit_code = 65
    next_step = "correct the marts, or the setting that the message names"


class EmptyResult(DataContractError):
    """A query answered no rows at all."""

    next_step = "look whether the dbt run finished, and whether the role sees the rows"


class DataDrifted(DataContractError):
    """The data moved further from those of the current release than the settings allow."""

    next_step = "look at the marts; --accept-drift REASON trains all the same"


class SourceError(RecsysError, ConnectionError):
    """The warehouse could not be read."""

    exit_code = 69
    next_step = "run once more after some minutes, then look at the source"


class SourceUnavailable(SourceError):
    """The source cannot be reached or read: an outage, an unknown host, a spoilt file."""

    next_step = "run once more after some minutes, then look at the source and the network"


class SourceNotFound(SourceUnavailable):
    """A file or folder of the source is not there, or may not be read."""

    exit_code = 66
    next_step = "check the path of --source or source.url, and who may read it"


class SourceChanged(SourceError):
    """A mart was replaced while the run was reading."""

    next_step = "run once more when dbt is done"


class QueryFailed(SourceError):
    """The source refused a query: a missing table, column or right."""

    exit_code = 66
    next_step = "check the table, the column and the role's rights on it"


class TruncatedResult(SourceError):
    """Fewer (or more) rows arrived than the source announced."""

    next_step = "run once more"


class DeadlineExceeded(SourceError):
    """The source did not answer in the time that was set."""

    exit_code = 75
    next_step = "run once more; if the source is only slow, raise snowflake.deadline_s or snowflake.statement_timeout_s"


class AuthenticationFailed(SourceError):
    """The credentials are wrong. Retrying locks accounts."""

    exit_code = 77
    next_step = "check the SNOWFLAKE_* variables; do not try again with the same ones"


class PrivilegeError(RecsysError, PermissionError):
    """The role can do more than read, and the settings do not allow that."""

    exit_code = 77
    next_step = "use a role that can only read, or set snowflake.require_read_only"


class ArtifactWriteError(RecsysError, OSError):
    """Artifacts could not be written; what was current before is untouched."""

    exit_code = 73
    next_step = "free space, or correct the rights of the folder, and run again"


class StoreError(RecsysError, ConnectionError):
    """The object store of the releases cannot be reached, or fails."""

    exit_code = 69
    next_step = "run once more after some minutes, then look at the store and the network"


class StoreRefused(StoreError):
    """The object store does not know the credentials, or they lack a right."""

    exit_code = 77
    next_step = "check the AWS_* variables, and what they may do in the bucket"


class LockHeld(RecsysError):
    """Another process is publishing into the same folder, or searching into the same study."""

    exit_code = 75
    next_step = "wait until the other process has ended, and run again"


class ReleaseError(RecsysError, ValueError):
    """A release cannot be used."""

    exit_code = 76
    next_step = "look at it with `recsys releases` and `recsys verify`"


class ArtifactCorrupt(ReleaseError):
    """A file of a release is missing, extra, or not the bytes that were published."""

    next_step = "`recsys rollback` goes back to a sound release; `recsys train --force` publishes a new one"


class IncompatibleArtifact(ReleaseError):
    """The release was written in a format that this version does not read."""

    next_step = "upgrade recsys here, or go back with `recsys rollback`"


class ReleaseNotFound(ReleaseError):
    """There is no release of that name, or nothing says which one is current."""

    next_step = "`recsys releases` lists those that there are; `recsys train` publishes one"


class QualityGateFailed(RecsysError):
    """The candidate was scored and refused; the current release stays.

    Attributes
    ----------
    trial
        The content of its ``metrics.json``; None if it could not be scored.
    """

    exit_code = 3
    next_step = "read the candidate's page under refused/; --publish-anyway REASON publishes it all the same"

    def __init__(self, message: str, *, trial: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.trial = trial


class Diverged(QualityGateFailed):
    """Training diverged: with these settings the factors did not stay finite on these ratings."""

    next_step = "change the settings of cf that the message names"


class PublishingHeld(RecsysError):
    """Somebody holds publishing: nothing is published until the hold is lifted.

    Attributes
    ----------
    hold
        Its ``reason``, ``by`` and ``since``, ``rolled_back_from`` and ``rolled_back_to``, and the ``problem`` if it
        cannot be read; what does not apply is None.
    """

    exit_code = 3
    next_step = "`recsys hold` shows the hold, and `recsys hold --release` lifts it"

    def __init__(self, message: str, *, hold: dict[str, str | None] | None = None) -> None:
        super().__init__(message)
        self.hold = hold


class NotInModel(RecsysError, KeyError):
    """An id that the model has never seen."""

    exit_code = 65
    next_step = "ask for an id that the release holds"


class ConfigError(RecsysError, ValueError):
    """A setting, an argument or an environment variable is wrong."""

    exit_code = 78
    next_step = "correct the setting, argument or variable that the message names"


class ArgumentError(ConfigError):
    """An argument of a question is wrong: a length, a filter, a way to rank, an empty text."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of a question is another kind of thing than was expected: a mapping where a list is."""


class MissingDependency(RecsysError, ImportError):
    """The installation lacks something that the request needs."""

    exit_code = 78
    next_step = "install what the message names"


class MissingExtra(MissingDependency):
    """An optional group of packages is not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        install = f"pip install '{DISTRIBUTION}[{extra}]'"
        super().__init__(f"{purpose} needs the extra '{extra}', which is not installed; {install}")
        self.extra = extra


class ModelNotFound(MissingDependency):
    """The embedding model is not installed and could not be fetched, or is not the pinned one."""
