"""Messages: the one way to a terminal or a log. Text from outside cannot add a line, move a cursor or show a secret there.

Importing this file makes every log record of the process, of libraries too, say its message in one line.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.machine_faults import machine_fault
from tasks.settings.redaction import redact


def say(*lines: str) -> None:
    """Print each line, whatever is in it, as one line. In a flow that logs what is printed, each becomes a log record."""
    for line in lines:
        print(for_terminal(line))


def warn(*lines: str) -> None:
    """Print each line on standard error, as one line."""
    for line in lines:
        print(for_terminal(line), file=sys.stderr)


def say_json(value: object) -> None:
    """Print a value as JSON for another program: nothing in it is changed, and all beyond plain ASCII is escaped."""
    print(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def show(table: Table) -> None:
    """Print a table on the terminal; its cells are made by `cell`."""
    Console().print(table)


def cell(text: str, style: str = "") -> Text:
    """Return the text for a cell of a table, in which nothing is markup."""
    return Text(for_terminal(text), style)


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an error. Further lines of its message are indented, so that none looks like a line of a log."""
    return "\n".join(
        for_terminal(("    " if number else "") + line)
        for chunk in traceback.format_exception(error)
        for number, line in enumerate(chunk.splitlines())
    )


@contextmanager
def without_secrets() -> Iterator[None]:
    """Hide the secrets in the text of an error that ends a flow: Prefect keeps it with the state of the run, and sends it on."""
    try:
        yield
    except Exception as error:
        error.args = tuple(redact(part) if isinstance(part, str) else part for part in error.args)
        for name in ("strerror", "filename", "filename2"):  # an OSError with a number makes its text from these
            if isinstance(part := getattr(error, name, None), str):
                setattr(error, name, redact(part))
        raise


class EscapedLogRecord(logging.LogRecord):
    """A log record whose message is one line without secrets, and which shows no traceback for a fault that a person mends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        error = self.exc_info[1] if self.exc_info else None
        if isinstance(error, BadInput) or (error and machine_fault(error)):
            self.exc_info = None  # the message says all that the user can use
        elif error:
            self.exc_text = traceback_of(error)

    def getMessage(self) -> str:  # noqa: N802  as the standard library calls it
        """Return the message, escaped."""
        return for_terminal(super().getMessage())


logging.setLogRecordFactory(EscapedLogRecord)
