"""Escaping: makes text from outside harmless for the medium that shows it, with one function for each medium.

Names of folders and files, labels, reasons, settings and texts in images are data. They may hold markup, formulas, control characters
and secrets. The functions for text that people read hide secrets; a table keeps its text, and `from_csv` gives it back. HTML is escaped
by its templates (`tasks/reporting/html.py`).
"""

import re

from tasks.settings.redaction import redact

MARKUP = re.compile(
    r"[\\`*_\[\]<>!|~&#@$^{}]"  # starts or ends markup wherever it stands
    r"|:(?=//)|(?<=www)\.|^(?: |[+=-](?=[ =-]|$)|\d+[.)](?= |$))",  # an address, or markup at the beginning of a line
    re.IGNORECASE,
)
STARTS = "=+\\-@\t\r\n＝＋－＠"  # of a formula
SEPARATORS = re.compile(
    r"[;\t\r\n]"
)  # end a cell in other countries' spreadsheets; at a comma the file itself has quotes
FORMULA = re.compile(rf"(?:^|(?<=[;\t\r\n]))(?='*[{STARTS}])")
ESCAPED = re.compile(rf"(?:^|(?<=[;\t\r\n]))'(?='*[{STARTS}])")
PLAIN = re.compile(rf"(?!'*[{STARTS}])")  # how nearly all texts start
ASCII = 0x80  # all that Pillow's own font has


def for_utf8(text: str) -> str:
    """Return `text` with each byte that was not UTF-8 (a lone surrogate) as its Python escape, so that every file can hold it."""
    return text.encode(errors="backslashreplace").decode()


def for_terminal(text: str) -> str:
    """Return `text` with each unprintable character as its Python escape, so that no name can move a cursor or add a line.

    Control characters, line ends, direction marks and bytes that were not UTF-8 (lone surrogates) count as unprintable. Secrets are
    hidden.
    """
    shown = redact(text)
    return (
        shown if shown.isprintable() else "".join(char if char.isprintable() else python_escape(char) for char in shown)
    )


def python_escape(char: str) -> str:
    """Return the Python escape of a character."""
    return char.encode("unicode_escape").decode()


def for_markdown(text: str) -> str:
    """Return `text` as running Markdown in which nothing is markup: characters that could be become character references.

    Unlike a backslash, a reference is understood alike by all renderers, in cells of tables too.
    """
    return MARKUP.sub(lambda match: "".join(f"&#{ord(char)};" for char in match[0]), for_terminal(text))


def for_picture(text: str, letters: int = ASCII) -> str:
    """Return `text` with each character beyond the first `letters` of Unicode as its Python escape. The font must have those letters."""
    return "".join(char if ord(char) < letters else python_escape(char) for char in for_terminal(text))


def for_csv(text: str) -> str:
    """Return `text` with an apostrophe before each part that a spreadsheet would take for a formula."""
    return text if PLAIN.match(text) and not SEPARATORS.search(text) else FORMULA.sub("'", text)


def from_csv(cell: str) -> str:
    """Return the text of a cell that `for_csv` made."""
    return ESCAPED.sub("", cell) if cell.startswith("'") or SEPARATORS.search(cell) else cell
