"""Evidence: photographs side by side that let people see what the audit found."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from PIL import Image, ImageDraw

from tasks.dataset.duplicates import Copy
from tasks.images import loading
from tasks.records.rows import BASE, Row, stored_path
from tasks.reporting.contact_sheet import (
    GAP,
    INK,
    LINE,
    PAPER,
    SIDE,
    SheetRow,
    Tile,
    letters,
    sheet,
    stack_pictures,
    wrap,
)
from tasks.settings.settings import Classes, Places

ACROSS, DOWN = 6, 4  # photographs in a row, rows
COLOURS = {
    "equal": "#c0392b",
    "changed": "#e08e45",
    "casting": "#f0c987",
    "new": "#1f7a5c",
}  # of a leak, the worst first


class Leak(NamedTuple):
    """How the published test images are known from the published train images, each counted once, the worst first."""

    equal: int
    """Lie in train byte by byte."""
    changed: int
    """Are a changed copy of a train image."""
    casting: int
    """Are another photograph of a casting of train."""
    new: int


class Picture(NamedTuple):
    name: str
    title: str
    caption: str
    image: Image.Image


def leak(rows: Sequence[Row], copies: Sequence[Copy]) -> Leak | None:
    """The leak of the published split, or None where no test or no train was published."""
    trained, tested = (
        [row for row in rows if row.origin == BASE and row.published == name] for name in ("train", "test")
    )
    if not trained or not tested:
        return None
    contents, groups = {row.sha256 for row in trained}, {row.group for row in trained}
    twins = {one for pair in copies for one, other in (pair.contents(), pair.contents()[::-1]) if other in contents}
    left = [row for row in tested if row.sha256 not in contents]
    changed = sum(row.sha256 in twins for row in left)
    casting = sum(row.sha256 not in twins and row.group in groups for row in left)
    return Leak(len(tested) - len(left), changed, casting, len(left) - changed - casting)


def pictures(rows: Sequence[Row], copies: Sequence[Copy], classes: Classes, places: Places) -> Iterator[Picture]:
    """What there is to see, in the order of its weight; `rows` with their groups."""
    album = Album(rows, places)
    found = leak(rows, copies)
    across = one_of_each(album, [pair for pair in copies if pair.across() and pair.score < 1])
    if found and found.new < sum(found):
        image = stack_pictures(bar(found), twins(album, across[: ACROSS // 2])) if across else bar(found)
        yield Picture("leak", "The published test, as the published train knows it", leak_caption(found), image)
    if pairs := across or one_of_each(album, [pair for pair in copies if pair.score < 1]):
        where = "of train and test" if across else "of one photograph"
        caption = f"Pairs {where}, the surest first, one of each casting: how the second came of the first, and how sure that is."
        yield Picture("copies", "Changed copies", caption, twins(album, pairs[: DOWN * ACROSS // 2]))
    yield from castings(album, classes)


class Album:
    """The rows by content and by group, the largest group first, and their photographs."""

    def __init__(self, rows: Sequence[Row], places: Places) -> None:
        self.places = places
        self.by_content = {row.sha256: row for row in rows}
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in self.by_content.values():
            groups[row.group].append(row)
        self.groups = sorted(groups.values(), key=lambda group: (-len(group), group[0].sha256))

    def tile(self, row: Row, caption: str) -> Tile:
        return Tile(loading.load([stored_path(row, self.places)], 2 * SIDE)[0], caption)


def one_of_each(album: Album, copies: Iterable[Copy]) -> list[Copy]:
    """The surest pair of each group."""
    first: dict[str, Copy] = {}
    for pair in sorted(copies, key=lambda pair: -pair.score):
        first.setdefault(album.by_content[pair.sha256].group, pair)
    return list(first.values())


def twins(album: Album, pairs: Sequence[Copy]) -> Image.Image:
    """Pairs beside each other, several in a row."""
    tiles = [
        album.tile(album.by_content[content], caption)
        for pair in pairs
        for content, caption in (
            (pair.sha256, f"{wrap(pair.published or pair.origin, SIDE, 1)}\nscore {pair.score:.3f}"),
            (
                pair.copy_sha256,
                f"{wrap(pair.copy_published or pair.copy_origin, SIDE, 1)}\n{pair.transform.replace(', shift', chr(10) + 'shift')}",
            ),
        )
    ]
    return sheet([SheetRow("", tuple(tiles[start : start + ACROSS])) for start in range(0, len(tiles), ACROSS)])


def castings(album: Album, classes: Classes) -> Iterator[Picture]:
    """The largest castings, those on both sides of the published split, and those that are called both good and defective."""
    several = [group for group in album.groups if len(group) > 1]
    if several:
        shelves = [SheetRow(heading(group, classes), spread(album, group, ACROSS)) for group in several[:DOWN]]
        caption = f"Each row is one casting; {len(several):,} have several images."
        yield Picture("castings", "The largest castings", caption, sheet(shelves))
    both = {"train", "test"}
    if shared := [group for group in several if both <= {row.published for row in group if row.origin == BASE}]:
        caption = f"Each row is one casting; {len(shared):,} are published to train and to test."
        shelves = [sides(album, group, "published", "train", classes) for group in shared[:DOWN]]
        yield Picture("shared", "Castings in train and test", caption, sheet(shelves))
    if mixed := [group for group in several if len({row.label for row in group}) > 1]:
        caption = (
            f"Each row is one casting; {len(mixed):,} carry both labels. "
            "Look which label is wrong, or whether the defect shows on some photographs only."
        )
        shelves = [sides(album, group, "label", classes.defect, classes) for group in mixed[:DOWN]]
        yield Picture("mixed", "Castings with both labels", caption, sheet(shelves))


def heading(group: Sequence[Row], classes: Classes) -> str:
    defective = sum(row.label == classes.defect for row in group)
    return f"{len(group):,} images, {defective:,} of them {classes.defect}; first {group[0].path}"


def spread(album: Album, group: Sequence[Row], number: int) -> tuple[Tile, ...]:
    """Some of the group, from all over it."""
    step = max(1, len(group) // number)
    return tuple(
        album.tile(row, wrap(f"{row.label}, {row.published or row.origin}", SIDE, 1))
        for row in islice(group, 0, step * number, step)
    )


def sides(album: Album, group: Sequence[Row], column: str, value: str, classes: Classes) -> SheetRow:
    """Half of the row of one side, half of the other."""
    here, there = ([row for row in group if (getattr(row, column) == value) == side] for side in (True, False))
    return SheetRow(heading(group, classes), spread(album, here, ACROSS // 2) + spread(album, there, ACROSS // 2))


def bar(found: Leak) -> Image.Image:
    """A bar as long as the test, in parts."""
    width, height, total = ACROSS * (SIDE + GAP) + GAP, 26, sum(found)
    words = {
        "equal": "equal files",
        "changed": "changed copies",
        "casting": "castings of train",
        "new": "castings never trained",
    }
    picture = Image.new("RGB", (width, height + 2 * LINE), PAPER)
    draw, left, text = ImageDraw.Draw(picture), GAP, GAP
    for name, count in found._asdict().items():
        right = left + (width - 2 * GAP) * count / total
        if count:  # of no width it would still be a line
            draw.rectangle((left, GAP, right, GAP + height), fill=COLOURS[name])
        left = right
        draw.rectangle((text, height + LINE - 4, text + 10, height + LINE + 6), fill=COLOURS[name])
        draw.text((text + 15, height + LINE - 8), f"{count:,} {words[name]}", fill=INK, font=letters())
        text += width // 4
    return picture


def leak_caption(found: Leak) -> str:
    return (
        f"Of {sum(found):,} published test images {found.equal:,} lie in train byte by byte, {found.changed:,} more are changed copies of "
        f"train images, and {found.casting:,} more show a casting of train. Below, pairs of test and train."
    )
