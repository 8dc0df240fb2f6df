"""Errors: `BadInput`, the one error that a user can mend."""

from tasks.settings.redaction import redact


class BadInput(Exception):
    """The user's data or settings are wrong: the message says what, what was expected, and what to do next.

    Flows show it as one line, without a traceback, and exit with status 2. It never holds a secret, wherever it is caught.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(redact(str(message)))
