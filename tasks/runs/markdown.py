"""Markdown: numbers, names and tables, in which nothing from outside becomes markup."""

from collections.abc import Iterable, Mapping, Sequence


def of(count: int, total: int) -> str:
    return f"{count:,} of {total:,}"


def counts(values: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in values.items())


def number_of(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def code(text: str) -> str:
    """A name from outside as Markdown code, in which nothing is markup."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
