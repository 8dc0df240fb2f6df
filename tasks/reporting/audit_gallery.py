"""Audit gallery: pictures of photographs side by side, in which people see what the audit found."""

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
    font,
    sheet,
    stack_pictures,
    wrap,
)
from tasks.reporting.words import ProductWords, capitalized
from tasks.settings.settings import Classes, Places

ACROSS, DOWN = 6, 4  # photographs in a row, rows
# Of the parts of a leak, the worst first.
COLORS = {"equal": "#c0392b", "changed": "#e08e45", "part": "#f0c987", "new": "#1f7a5c"}


class Leak(NamedTuple):
    """Numbers of published test images by how train knows them already, the worst way first. Each image counts once."""

    equal: int
    """Lie in train byte by byte."""
    changed: int
    """Are a changed copy of a train image."""
    part: int
    """Are another photograph of a part of train."""
    new: int
    """Are known from train in none of these ways."""


class Picture(NamedTuple):
    """A picture of a report, with its title and caption."""

    name: str
    title: str
    caption: str
    image: Image.Image


def leak(rows: Sequence[Row], copies: Sequence[Copy]) -> Leak | None:
    """Count how many published test images are known from the published train images.

    Returns None where no test or no train was published.
    """
    trained, tested = (
        [row for row in rows if row.origin == BASE and row.published == name] for name in ("train", "test")
    )
    if not trained or not tested:
        return None
    contents, groups = {row.sha256 for row in trained}, {row.group for row in trained}
    copied = {
        content for pair in copies for content, copy in (pair.contents(), pair.contents()[::-1]) if copy in contents
    }
    unequal = [row for row in tested if row.sha256 not in contents]
    changed = sum(row.sha256 in copied for row in unequal)
    part = sum(row.sha256 not in copied and row.group in groups for row in unequal)
    return Leak(len(tested) - len(unequal), changed, part, len(unequal) - changed - part)


def pictures(
    rows: Sequence[Row], copies: Sequence[Copy], classes: Classes, words: ProductWords, places: Places
) -> Iterator[Picture]:
    """Yield the pictures for which there is something to see, the most important first. `rows` have their groups."""
    album = Album(rows, places)
    leak_counts = leak(rows, copies)
    across = one_of_each(album, [pair for pair in copies if pair.across() and pair.score < 1])
    if leak_counts and leak_counts.new < sum(leak_counts):
        bar = leak_bar(leak_counts)
        image = stack_pictures(bar, pair_sheet(album, across[: ACROSS // 2])) if across else bar
        caption = (
            f"Of {sum(leak_counts):,} published test images {leak_counts.equal:,} lie in train byte by byte, "
            f"{leak_counts.changed:,} more are changed copies of train images, and {leak_counts.part:,} more show {words.plural} "
            "of train. Below, pairs of test and train."
        )
        yield Picture("leak", "The published test, as the published train knows it", caption, image)
    if pairs := across or one_of_each(album, [pair for pair in copies if pair.score < 1]):
        where = "of train and test" if across else "of one photograph"
        caption = f"Pairs {where}, the surest first, one of each {words.singular}: how the second came of the first, and how sure that is."
        yield Picture("copies", "Changed copies", caption, pair_sheet(album, pairs[: DOWN * ACROSS // 2]))
    yield from castings(album, classes, words)


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
        """Return the photograph of a row above this caption."""
        return Tile(loading.load_squares([stored_path(row, self.places)], 2 * SIDE)[0], caption)


def one_of_each(album: Album, copies: Iterable[Copy]) -> list[Copy]:
    """Return the surest pair of each group, the surest group first."""
    first: dict[str, Copy] = {}
    for pair in sorted(copies, key=lambda pair: -pair.score):
        first.setdefault(album.by_content[pair.sha256].group, pair)
    return list(first.values())


def pair_sheet(album: Album, pairs: Sequence[Copy]) -> Image.Image:
    """Draw pairs beside each other, several in a row, with the score and the transform of each."""
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


def castings(album: Album, classes: Classes, words: ProductWords) -> Iterator[Picture]:
    """Yield up to three pictures of parts with several images, a row a part.

    They show the largest parts, those in both train and test as published, and those with both labels.
    """
    several = [group for group in album.groups if len(group) > 1]
    both = {"train", "test"}
    shared = [group for group in several if both <= {row.published for row in group if row.origin == BASE}]
    mixed = [group for group in several if len({row.label for row in group}) > 1]
    advice = "Look which label is wrong, or whether the defect shows on some photographs only."
    parts = capitalized(words.plural)
    kinds = (
        ("castings", f"The largest {words.plural}", several, "have several images.", "", ""),
        ("shared", f"{parts} in train and test", shared, "are published to train and to test.", "published", "train"),
        ("mixed", f"{parts} with both labels", mixed, f"carry both labels. {advice}", "label", classes.defect),
    )
    for name, title, groups, caption, column, value in kinds:
        if groups:
            image = sheet([casting_row(album, group, classes, column, value) for group in groups[:DOWN]])
            yield Picture(name, title, f"Each row is one {words.singular}; {len(groups):,} {caption}", image)


def heading(group: Sequence[Row], classes: Classes) -> str:
    """Return the line above a group: its images, how many are defective, and the path of the first."""
    defective = sum(row.label == classes.defect for row in group)
    return f"{len(group):,} images, {defective:,} of them {classes.defect}; first {group[0].path}"


def sample_tiles(album: Album, group: Sequence[Row], number: int) -> tuple[Tile, ...]:
    """Return at most so many photographs of the group, at equal steps through it."""
    step = max(1, len(group) // number)
    return tuple(
        album.tile(row, wrap(f"{row.label}, {row.published or row.origin}", SIDE, 1))
        for row in islice(group, 0, step * number, step)
    )


def casting_row(album: Album, group: Sequence[Row], classes: Classes, column: str, value: str) -> SheetRow:
    """Return one row of photographs of the group. With a column, rows with this value in it come first, the others in the second half."""
    halves = (
        [[row for row in group if (getattr(row, column) == value) == side] for side in (True, False)]
        if column
        else [group]
    )
    tiles = [tile for half in halves for tile in sample_tiles(album, half, ACROSS // len(halves))]
    return SheetRow(heading(group, classes), tuple(tiles))


def leak_bar(counts: Leak) -> Image.Image:
    """Draw the published test as one bar, with a colored part and a text for each way in which train knows its images."""
    width, height, total = ACROSS * (SIDE + GAP) + GAP, 26, sum(counts)
    names = {
        "equal": "equal files",
        "changed": "changed copies",
        "part": "shown by train too",
        "new": "never trained",
    }
    picture = Image.new("RGB", (width, height + 2 * LINE), PAPER)
    draw, left, text = ImageDraw.Draw(picture), GAP, GAP
    for name, count in counts._asdict().items():
        right = left + (width - 2 * GAP) * count / total
        if count:  # a rectangle without width would still be a line
            draw.rectangle((left, GAP, right, GAP + height), fill=COLORS[name])
        left = right
        draw.rectangle((text, height + LINE - 4, text + 10, height + LINE + 6), fill=COLORS[name])
        draw.text((text + 15, height + LINE - 8), f"{count:,} {names[name]}", fill=INK, font=font())
        text += width // 4
    return picture
