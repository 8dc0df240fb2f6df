"""The one error that a user can mend."""


class BadInput(Exception):
    """The user's data or settings are wrong: the message says what, what was expected, and what to do next.

    Flows show it as one line, without a traceback, and exit with status 2.
    """
