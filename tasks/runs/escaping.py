"""Escaping: text from outside, made harmless for the medium that shows it."""


def for_utf8(text: str) -> str:
    """Return `text` with each byte that was not UTF-8 (a lone surrogate) as its Python escape, so that every file can hold it."""
    return text.encode(errors="backslashreplace").decode()


def for_terminal(text: str) -> str:
    """Return `text` with each unprintable character as its Python escape, so that no name can move a cursor or add a line.

    Control characters, line ends, direction marks and bytes that were not UTF-8 (lone surrogates) count as unprintable.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
