"""People: who may approve models, with a password each, in `artifacts/.approvers.csv`. Passwords are stored as slow hashes."""

import csv
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from werkzeug.security import check_password_hash, generate_password_hash

from tasks.settings.errors import BadInput
from tasks.settings.settings import Places
from tasks.storage.files import publish, scratch_beside
from tasks.storage.locks import exclusive_lock
from tasks.storage.private_files import require_private
from tasks.storage.tables import read_table, write_table

NAME = ".approvers.csv"
LEAST_LENGTH = 10  # characters of a password
LONGEST_NAME = 60
FREE_TRIES = 5  # wrong passwords before a wait
LONGEST_WAIT = 900.0  # seconds
NOBODY = generate_password_hash(os.urandom(16).hex())  # compared where the name is unknown, which takes as long


class Approver(NamedTuple):
    """A person who may put models into use."""

    name: str
    hash: str


def is_name(name: str) -> bool:
    """Return whether the text can be a person's name or pseudonym."""
    return 0 < len(name) <= LONGEST_NAME and name == name.strip() and name.isprintable()


def approvers_file(places: Places) -> Path:
    """Return the path of the file of passwords."""
    return places.artifacts_root / NAME


def read_approvers(places: Places) -> dict[str, str]:
    """Return the hash of each person's password. Raises BadInput where others may read the file, or where it is damaged."""
    path = approvers_file(places)
    try:
        require_private(path, "let each person choose a new password")
        return {approver.name: approver.hash for approver in read_table(path, Approver)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, csv.Error) as error:
        raise BadInput(
            f"{path} is damaged or cannot be read ({error}): remove it, and name the approvers again"
        ) from error


def set_approver(name: str, password: str, places: Places) -> None:
    """Let a person approve models, by this password from now on. Raises BadInput where name or password cannot be used."""
    if not is_name(name):
        raise BadInput(f"{name[:LONGEST_NAME]!r} is no name: 1 to {LONGEST_NAME} printable characters are expected")
    if len(password) < LEAST_LENGTH:
        raise BadInput(f"the password has {len(password)} characters: at least {LEAST_LENGTH} are expected")
    path = approvers_file(places)
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(path.with_name(".approvers.lock")):
        hashes = {**read_approvers(places), name: generate_password_hash(password)}
        with scratch_beside(path) as scratch:
            scratch.touch(mode=0o600)
            write_table(scratch, [Approver(*item) for item in hashes.items()], Approver)
            publish(scratch, path)


class Throttle:
    """Make wrong passwords slow: after five for a name, each further try waits twice as long, up to a quarter of an hour."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        """Count by this clock, in seconds."""
        self._clock, self._lock = clock, threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}

    def start_try(self, name: str) -> float:
        """Return the seconds until a try for this name is looked at. Where it is now, count it as a wrong one from here on.

        Counted afterwards, many tries at once would all be looked at.
        """
        with self._lock:
            if not (seconds := self._seconds_to_wait(name)):
                if len(self._wrong) > 10_000:  # names that nobody has
                    self._wrong.clear()
                self._wrong[name] = (self._wrong.get(name, (0, 0.0))[0] + 1, self._clock())
            return seconds

    def end_waiting(self, name: str) -> None:
        """Forget the tries for a name, after a right password."""
        with self._lock:
            self._wrong.pop(name, None)

    def _seconds_to_wait(self, name: str) -> float:
        """Return the seconds until the next try for this name is looked at."""
        wrong, last = self._wrong.get(name, (0, 0.0))
        wait = 0.0 if wrong < FREE_TRIES else min(LONGEST_WAIT, 2.0 ** min(wrong - FREE_TRIES, 10))
        return max(0.0, last + wait - self._clock())


def may_approve(name: str, password: str, places: Places) -> bool:
    """Return whether the password is that of a person who may approve. An unknown name takes as long as a known one."""
    known = read_approvers(places).get(name)
    return check_password_hash(known or NOBODY, password) and known is not None
