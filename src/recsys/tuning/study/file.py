"""The file of a study: one search each, by one process at a time, which continues where it was stopped.

It is an SQLite database, laid out and read by Optuna. Optuna's other kind of file, the journal,
needs no other packages and suits this worse: it is text to which lines are appended, so that a
process that ends in the middle of a line leaves a file that cannot be continued, and its lock outlives the
process. Here a trial is a transaction.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from recsys.errors import ArtifactWriteError, ConfigError
from recsys.release.lock import file_lock
from recsys.system.log import events, keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from optuna import Study
    from optuna.storages import RDBStorage

log = events(__name__)

FORMAT = 2
"""Raised when a later version searches or scores otherwise: its trials must not be mixed with these."""

_NAME = "recsys tune"
_IDENTITY = "identity"


@contextmanager
def open_study(path: Path, identity: Mapping[str, Any]) -> Iterator[Study]:
    """Open the study in a file, or begin one.

    Parameters
    ----------
    path
        The file; ``path.lock`` beside it keeps a second process out.
    identity
        All that a trial's score depends on but what is searched; fit for JSON.

    Yields
    ------
    optuna.Study
        Its direction is to maximize. Trials that an interrupted process left unfinished have failed.

    Raises
    ------
    ConfigError
        If the file is no study, or one of another identity.
    ArtifactWriteError
        If it cannot be written.
    LockHeld
        If another process searches into it.
    """
    _check_name(path)
    with file_lock(path.with_name(f"{path.name}.lock"), f"recsys tune --study {path}"):
        _check_file(path)
        storage = _storage(path)
        try:
            with _writing(path):
                yield _load(storage, path, {"format": FORMAT, **identity})
        finally:
            storage.remove_session()
            storage.engine.dispose()


def check_file(path: Path) -> None:
    """Say whether the file could hold the study, without making it.

    Raises
    ------
    ConfigError, ArtifactWriteError
        Where :func:`open_study` would raise them.
    """
    _check_name(path)
    if path.exists():
        _check_file(path)
    elif not os.access(path.absolute().parent, os.W_OK):
        raise ArtifactWriteError(f"the study {path} cannot be written: its folder is read-only; name another --study")


def _check_file(path: Path) -> None:
    """Find out with SQLite alone whether the file can be written, and is ours or new."""
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("BEGIN IMMEDIATE")
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            known = "studies" in tables
            studies = {name for (name,) in database.execute("SELECT study_name FROM studies")} if known else set()
            database.rollback()
    except sqlite3.OperationalError as error:
        raise ArtifactWriteError(f"the study {path} cannot be written: {error}; name another --study") from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path} is no study of recsys tune: {error}; name another --study") from error
    if (tables and not known) or studies - {_NAME}:
        raise ConfigError(f"{path} is no study of recsys tune, but a database of something else; name another --study")


def _check_name(path: Path) -> None:
    if "?" in str(path):
        raise ConfigError(
            f"{path} cannot hold a study: ? has a meaning in the address that it is opened by; leave it out"
        )
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ConfigError(
            f"{path} cannot hold a study: it is a device, a pipe or a socket; name a file, or one that is not there yet"
        )
    if path.is_dir():
        raise ArtifactWriteError(f"the study {path} cannot be written: it is a folder; name a file")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path} cannot hold a study: there is no folder {path.absolute().parent}; make it first")


def _storage(path: Path) -> RDBStorage:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.storages.RDBStorage(f"sqlite:///{path.absolute()}")
    except RuntimeError as error:
        raise ConfigError(
            f"the study {path} was written by another version of Optuna: {error}; name another --study"
        ) from error


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    from optuna.exceptions import StorageInternalError

    try:
        yield
    except StorageInternalError as error:
        reason = error.__cause__ or error
        raise ArtifactWriteError(
            f"the study {path} cannot be written: {reason}; the trials that were finished are kept: mend the cause and "
            "run again"
        ) from error


def _load(storage: RDBStorage, path: Path, identity: dict[str, object]) -> Study:
    import optuna

    study = optuna.create_study(study_name=_NAME, storage=storage, direction="maximize", load_if_exists=True)
    stored = study.user_attrs.get(_IDENTITY)
    if stored is None and not study.trials:
        study.set_user_attr(_IDENTITY, identity)
    elif stored != identity:
        raise ConfigError(
            f"the study {path} is one of another search ({_differences(stored or {}, identity)}): name another "
            "--study, or give the data and settings that it was begun with"
        )
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        log.info("the last run did not finish a trial", extra=keys(trial=trial.number))
    return study


def _differences(stored: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    names = [name for name in {**stored, **identity} if stored.get(name) != identity.get(name)]
    return ", ".join(f"{name} {stored.get(name)} there and {identity.get(name)} here" for name in names)
