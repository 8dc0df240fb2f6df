"""Machine faults: a full disk and its like end in one line, whoever raised them, and faults of the program keep their traceback."""

import errno
import os
import sqlite3
from contextlib import closing

import pytest

from tasks.settings.cli import exit_status
from tasks.settings.machine_faults import ADVICE, machine_fault


def sqlite_is_full(path) -> None:
    """As on a full disk: a database that may not grow."""
    with closing(sqlite3.connect(path / "small.sqlite")) as small:
        small.execute("CREATE TABLE kept (content BLOB)")
        small.execute("PRAGMA max_page_count = 2")
        small.execute("INSERT INTO kept VALUES (zeroblob(100000))")


def fail_wrapped(_) -> None:
    try:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/a.tmp")
    except OSError as error:
        raise RuntimeError("could not save the model") from error


def fail_in_a_library(_) -> None:
    raise RuntimeError("SaveV2: /data/variables.tempstate; No space left on device")


def fail_with(number: int):
    def fail(_) -> None:
        raise OSError(number, os.strerror(number), "/data/a")

    return fail


def fail_by_hand(_) -> None:
    raise OSError(errno.ENOSPC, "the disk is too small: 3 MiB are free, 258 needed", "/data")


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (sqlite_is_full, "No space left on device; make room, then start again"),
        (fail_wrapped, "No space left on device: /data/a.tmp; make room, then start again"),
        (fail_in_a_library, "No space left on device; make room, then start again"),
        (fail_by_hand, "the disk is too small: 3 MiB are free, 258 needed"),
        (fail_with(errno.EACCES), "Permission denied: /data/a; give this user the right to it, then start again"),
        *((fail_with(number), f"{os.strerror(number)}: /data/a; {advice}") for number, advice in ADVICE.items()),
    ],
)
def test_what_the_machine_lacks_is_told_in_one_line(fail, told, tmp_path, capsys):
    assert exit_status(lambda: fail(tmp_path)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {told}") and said.count("\n") == 1


@pytest.mark.parametrize("error", [KeyError("a"), FileNotFoundError(errno.ENOENT, "No such file", "/a"), ValueError()])
def test_a_fault_of_the_program_keeps_its_traceback(error, capsys):
    def fail() -> None:
        raise error

    assert machine_fault(error) is None
    assert exit_status(fail) == 1
    assert capsys.readouterr().err.startswith("Traceback")


def test_an_error_that_was_caught_before_is_no_cause():
    with pytest.raises(KeyError) as raised:
        try:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/data/a")
        except OSError:
            {}["a"]
    assert raised.value.__context__ is not None
    assert machine_fault(raised.value) is None
