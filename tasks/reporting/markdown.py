"""Markdown: numbers, names and tables, in which nothing from outside becomes markup."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from tasks.settings.escaping import for_markdown, for_terminal


class Markdown(str):
    """Text whose markup is meant. All other text is data: the helpers below escape it."""


def escape(text: str) -> str:
    """Return Markdown as it is, and other text as running Markdown without markup."""
    return text if isinstance(text, Markdown) else for_markdown(text)


def out_of(count: int, total: int) -> str:
    """Return `1,234 of 5,678`."""
    return f"{count:,} of {total:,}"


def counts(values: Mapping[str, int]) -> Markdown:
    """Return each count before its name: `1,234 train, 56 test`."""
    return Markdown(", ".join(f"{count:,} {escape(name)}" for name, count in values.items()))


def number_of(count: int, noun: str) -> str:
    """Return a number before its noun, which takes an `s` unless the number is 1."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def code(text: str) -> Markdown:
    """Return a name from outside as Markdown code, in which nothing is markup.

    A backtick becomes an apostrophe, and a backslash before a bar its Python escape: renderers differ in how they read them there.
    """
    inside = for_terminal(text).replace("`", "'").replace("\\|", "\\x5c|")
    return Markdown(f"`{inside.strip() or ' '}`")


def bold(text: str) -> Markdown:
    """Return text in bold."""
    return Markdown(f"**{escape(text)}**")


def link(text: str, address: str) -> Markdown:
    """Return a link to a page of a server that the settings name."""
    return Markdown(f"[{escape(text)}]({quote(address, safe=':/#?&=%')})")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """Return a table with one line of heads. Cells that are no Markdown are escaped."""
    bar = "\\|"  # for a bar inside code; other text is escaped and has none
    lines = [[*map(escape, heads)], ["---"] * len(heads), *([*map(escape, row)] for row in rows)]
    return Markdown("\n".join(f"| {' | '.join(cell.replace('|', bar) for cell in line)} |" for line in lines))
