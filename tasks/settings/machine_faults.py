"""Machine faults: one line, without a traceback, for errors that the machine causes and a person mends, such as a full disk."""

import errno
import os
import sqlite3
from collections.abc import Iterator

NO_RIGHT = "give this user the right to it"
ADVICE = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or ask for a larger quota",
    errno.EFBIG: "let this user write larger files (ulimit -f)",
    errno.EROFS: "choose another place, or mount the disk for writing",
    errno.EACCES: NO_RIGHT,
    errno.EPERM: NO_RIGHT,
    errno.EMFILE: "let this user open more files (ulimit -n)",
    errno.ENFILE: "end other programs",
    errno.EIO: "look at the disk",
    errno.ENOMEM: "end other programs, or give this one more memory",
}
OF_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}


def machine_fault(error: BaseException) -> str | None:
    """Return one line that says what the machine lacks and what to do; None where the machine did not cause the error."""
    return next((line for cause in causes(error) if (line := line_of(cause))), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and the errors that it was raised from.

    An error that was merely being handled meanwhile (`__context__`) is no cause: a fault of the program keeps its traceback.
    """
    while error is not None:
        yield error
        error = error.__cause__


def line_of(error: BaseException) -> str | None:
    """Return the line for this error alone; None where it is of another kind."""
    if isinstance(error, MemoryError):
        return sentence("", errno.ENOMEM)
    if isinstance(error, sqlite3.Error):
        return sentence(
            "", OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        )  # the lower byte names the kind
    if isinstance(error, OSError) and error.errno in ADVICE:
        where = f": {error.filename2 or error.filename}" if error.filename else ""
        # Where the text is not the system's, recast wrote it, and it says all.
        return sentence(where, error.errno) if error.strerror == os.strerror(error.errno) else str(error.strerror)
    # TensorFlow and MLflow put the text of the system into a text of their own
    return sentence("", errno.ENOSPC) if os.strerror(errno.ENOSPC) in str(error) else None


def sentence(where: str, number: int | None) -> str | None:
    """Return the name of this error in the system, where it occurred and what to do; None without a number."""
    return (
        f"{os.strerror(number)}{where}; {ADVICE[number]}, then start again: what was finished is kept"
        if number is not None
        else None
    )
