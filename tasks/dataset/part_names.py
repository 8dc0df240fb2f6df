"""Part names: which photographs show one part, as the user says: by a pattern on their paths, by a table, or by the source itself."""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tasks.dataset.corrections import read_bytes, text_of
from tasks.records.results import PartNames
from tasks.records.rows import BASE, INBOX, Member, Row
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.settings import PART_TABLE, SplitSettings
from tasks.sources.names import compose
from tasks.sources.pattern_search import SECONDS, search_groups
from tasks.storage.files import changed_error

HEADER = ("path", "part")


def find_part_names(splitting: SplitSettings) -> PartNames:
    """Return the pattern that the settings give, or their table, identified by its content. Raises BadInput as `parse_parts` does."""
    text = splitting.parts
    if not text:
        return PartNames()
    if not text.lower().endswith(PART_TABLE):
        return PartNames(pattern=text)
    path = Path(text).expanduser().absolute()
    content = read_bytes(path)
    parse_parts(content, path)
    return PartNames(identity=hashlib.sha256(content).hexdigest(), path=path)


def name_parts(rows: Sequence[Row], names: PartNames, seconds: float = SECONDS) -> list[str]:
    """Return the name of the part that each image shows; "" where nobody names it.

    What the settings say comes first, then what the source says. Raises BadInput where the table has changed since `find_part_names`,
    where the pattern searches for longer than `seconds`, and where the pattern or the table names no image at all.
    """
    paths = [path_of(row) for row in rows]
    if names.pattern:
        found = search_groups(names.pattern, paths, "--parts", seconds)
        given = [(groups[0] or "") if groups else "" for groups in found]
    else:
        table = load_parts(names)
        given = [table.get(path, "") for path in paths]
    if (names.pattern or names.path) and not any(given):
        raise BadInput(
            f"--parts {for_terminal(names.pattern or str(names.path))} names the part of no image: it must fit paths such as "
            f"{for_terminal(paths[0])}"
        )
    return [part or row.part for part, row in zip(given, rows, strict=True)]


def join_named(members: Sequence[Member], named: Sequence[str]) -> list[Member]:
    """Return the members with the contents of one name in one group, led by the first of them.

    An unnamed content follows its leader, and a part whose first content joined an unnamed leader follows that leader too. A later content
    moves no earlier one. `named` has the part of each member, "" without one.
    """
    first_of: dict[str, str] = {}
    group_of: dict[str, str] = {}
    part_of: dict[str, str] = {}
    joined = []
    for member, part in zip(members, named, strict=True):
        group = group_of.get(member.group, member.sha256)  # leaders come before those that join them
        if part:
            own = group if part_of.get(group, part) == part else member.sha256
            group = first_of.setdefault(part, own)
            part_of.setdefault(group, part)
        group_of[member.sha256] = group
        joined.append(member._replace(group=group, alike=1.0 if part else member.alike))
    return joined


def path_of(row: Row) -> str:
    """Return the path of an image as patterns and tables see it: below the root of the source, or `<batch>/...` for one that arrived."""
    return compose(row.path if row.origin in (BASE, INBOX) else f"{row.origin}/{row.path}")


def load_parts(names: PartNames) -> Mapping[str, str]:
    """Return the part of each path in the table; nothing where there is no table. Raises BadInput if it has changed."""
    if names.path is None:
        return {}
    content = read_bytes(names.path)
    if hashlib.sha256(content).hexdigest() != names.identity:
        raise changed_error(names.path)
    return parse_parts(content, names.path)


def parse_parts(content: bytes, path: Path) -> dict[str, str]:
    """Return the part of each path. Raises BadInput with the line for another header, an empty cell, and two parts of one path."""
    parts: dict[str, str] = {}
    for number, image, part in table_lines(text_of(content, path), path):
        if not image or not part:
            raise BadInput(
                f"{path}, line {number}: a cell is empty, expected the path of an image and the name of its part"
            )
        if parts.setdefault(image, part) != part:
            raise BadInput(
                f"{path}, line {number}: {for_terminal(image)} shows {part}, but {parts[image]} in an earlier line: leave one"
            )
    return parts


def table_lines(text: str, path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield number, path and part of each line that is not empty. Raises BadInput where the header is another one."""
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        header = tuple(cell.strip().casefold() for cell in next(rows, []))
        if header[: len(HEADER)] != HEADER:
            raise BadInput(f"{path}, line 1: the header is {','.join(header)!r}, expected {','.join(HEADER)!r}")
        for cells in rows:
            if any(cell.strip() for cell in cells):
                image, part, *_ = [compose(cell.strip()) for cell in [*cells, ""]]
                yield rows.line_num, image.replace("\\", "/"), part
    except csv.Error as error:
        raise BadInput(f"{path}, line {rows.line_num}: {error}: save the table anew, as CSV in UTF-8") from error
