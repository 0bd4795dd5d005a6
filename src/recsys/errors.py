"""Every failure a run can end with, and the exit code of each branch.

::

    RecsysError                                            exit
    ├── DataContractError      (ValueError)                  65   the marts break a rule
    │   └── EmptyResult                                           a query answered no rows
    ├── SourceError            (ConnectionError)                  the warehouse failed us
    │   ├── SourceUnavailable                                69   outage, refused, unknown host, missing file
    │   ├── QueryFailed                                      69   missing table, column or right
    │   ├── TruncatedResult                                  69   fewer rows than the source announced
    │   ├── DeadlineExceeded                                 75   the source hung; worth a retry
    │   └── AuthenticationFailed                             77   wrong credentials; never retry
    ├── PrivilegeError         (PermissionError)             77   the role can do more than read
    ├── ArtifactWriteError     (OSError)                     73   staging or publishing failed
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


class RecsysError(Exception):
    """Root of the tree. ``str(error)`` is one message for people, with the next step in it."""

    exit_code: ClassVar[int] = UNFORESEEN

    def __str__(self) -> str:
        """Return the message alone, also where a builtin base (``KeyError``) would quote it."""
        return " ".join(str(arg) for arg in self.args)


class DataContractError(RecsysError, ValueError):
    """The marts break a rule of the data contract."""

    exit_code = 65


class EmptyResult(DataContractError):
    """A query answered no rows at all."""


class SourceError(RecsysError, ConnectionError):
    """The warehouse could not be read."""

    exit_code = 69


class SourceUnavailable(SourceError):
    """The source cannot be reached: an outage, an unknown host, a missing file."""


class QueryFailed(SourceError):
    """The source refused a query: a missing table, column or right."""


class TruncatedResult(SourceError):
    """Fewer (or more) rows arrived than the source announced."""


class DeadlineExceeded(SourceError):
    """The source did not answer in the time that was set."""

    exit_code = 75


class AuthenticationFailed(SourceError):
    """The credentials are wrong. Retrying locks accounts."""

    exit_code = 77


class PrivilegeError(RecsysError, PermissionError):
    """The role can do more than read, and the settings do not allow that."""

    exit_code = 77


class ArtifactWriteError(RecsysError, OSError):
    """Artifacts could not be written; what was current before is untouched."""

    exit_code = 73


class LockHeld(RecsysError):
    """Another process is publishing into the same folder, or searching into the same study."""

    exit_code = 75


class ReleaseError(RecsysError, ValueError):
    """A release cannot be used."""

    exit_code = 76


class ArtifactCorrupt(ReleaseError):
    """A file of a release is missing, extra, or not the bytes that were published."""


class IncompatibleArtifact(ReleaseError):
    """The release was written in a format that this version does not read."""


class ReleaseNotFound(ReleaseError):
    """There is no release of that name, or nothing says which one is current."""


class QualityGateFailed(RecsysError):
    """The candidate was scored and refused; the current release stays.

    Attributes
    ----------
    trial
        The content of its ``metrics.json``; None if it could not be scored.
    """

    exit_code = 3

    def __init__(self, message: str, *, trial: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.trial = trial


class Diverged(QualityGateFailed):
    """Training diverged: with these settings the factors did not stay finite on these ratings."""


class PublishingHeld(RecsysError):
    """Somebody holds publishing: nothing is published until the hold is lifted.

    Attributes
    ----------
    hold
        Its ``reason``, ``by`` and ``since``, ``rolled_back_from`` and ``rolled_back_to``, and the ``problem`` if it
        cannot be read; what does not apply is None.
    """

    exit_code = 3

    def __init__(self, message: str, *, hold: dict[str, str | None] | None = None) -> None:
        super().__init__(message)
        self.hold = hold


class NotInModel(RecsysError, KeyError):
    """An id that the model has never seen."""

    exit_code = 65


class ConfigError(RecsysError, ValueError):
    """A setting, an argument or an environment variable is wrong."""

    exit_code = 78


class ArgumentError(ConfigError):
    """An argument of a question is wrong: a length, a filter, a way to rank, an empty text."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of a question is another kind of thing than was expected: a mapping where a list is."""


class MissingDependency(RecsysError, ImportError):
    """The installation lacks something that the request needs."""

    exit_code = 78


class MissingExtra(MissingDependency):
    """An optional group of packages is not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        install = f"pip install '{DISTRIBUTION}[{extra}]'"
        super().__init__(f"{purpose} needs the extra '{extra}', which is not installed; {install}")
        self.extra = extra


class ModelNotFound(MissingDependency):
    """The embedding model is not installed and could not be fetched, or is not the pinned one."""
