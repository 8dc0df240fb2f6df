"""Labels: which label a file has after the user's corrections, and which files add nothing new or contradict others."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tasks.dataset.corrections import EXCLUDE, HEADER, NAME, Correction
from tasks.records.rows import BASE, Entry, Refusal, Row
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal

EXCLUDED = "excluded"  # code of a refusal that the user asked for
CONFLICT = "label_conflict"
MOST_LISTED = 5  # conflicts in a message


class Corrected(NamedTuple):
    """A correction that applied to a file."""

    path: str
    origin: str
    sha256: str
    was: str
    now: str
    """A class, or `exclude`."""
    why: str


class CorrectedEntries(NamedTuple):
    """The files after the corrections."""

    entries: list[Entry]
    withdrawn: list[Refusal]
    corrected: list[Corrected]


class DistinctRows(NamedTuple):
    """The images without repeats of earlier origins and without conflicts, and what was left out."""

    rows: list[Row]
    conflicts: list[Refusal]
    changes: list[Correction]
    """The lines of `corrections.csv` that take the later labels of the conflicts, one a content."""
    repeats: Counter[str]
    """By origin, the files that repeat an image of an earlier one."""


def apply_corrections(entries: Iterable[Entry], corrections: Mapping[str, Correction]) -> CorrectedEntries:
    """Return the files with the labels that the corrections give them, without the files that they exclude."""
    result = CorrectedEntries([], [], [])
    for entry in entries:
        correction = corrections.get(entry.sha256)
        if correction is None or correction.correction == entry.label:
            result.entries.append(entry)
            continue
        now, why = correction.correction, correction.why
        result.corrected.append(Corrected(entry.path, entry.origin, entry.sha256, entry.label, now, why))
        if now == EXCLUDE:
            result.withdrawn.append(Refusal(entry.path, entry.sha256, entry.origin, EXCLUDED, why))
        else:
            result.entries.append(entry._replace(label=now))
    return result


def drop_repeats(rows: Sequence[Row]) -> DistinctRows:
    """Leave out the images of an arrival that repeat an image of an earlier origin.

    Those with the label of the earlier image are counted as known, those with the other label are refused. Inside one origin equal files
    of one label stay. Raises BadInput for contradicting labels in the source.
    """
    first: dict[str, Row] = {}
    distinct = DistinctRows([], [], [], Counter())
    changes: dict[str, Correction] = {}
    inside: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        leader = first.setdefault(row.sha256, row)
        if row.label != leader.label and row.origin == BASE:
            inside[row.sha256].append(f"{leader.path} and {row.path}")
        elif row.label != leader.label:
            reason = f"labeled {row.label}, but {leader.origin}/{leader.path} has equal content as {leader.label}"
            distinct.conflicts.append(Refusal(row.path, row.sha256, row.origin, CONFLICT, reason))
            changes[row.sha256] = label_change(row, leader)
        elif row.origin != leader.origin:
            distinct.repeats[row.origin] += 1
        else:
            distinct.rows.append(row)
    if inside:
        raise contradiction(inside, first)
    return distinct._replace(changes=list(changes.values()))


def label_change(later: Entry | Row, earlier: Entry | Row) -> Correction:
    """Return the line of `corrections.csv` that takes the label of the later of two equal files."""
    labels = [f"{file.origin}/{file.path} is {file.label}" for file in (later, earlier)]
    return Correction(later.sha256, later.label, f"label changed: {', '.join(labels)}")


def label_change_summary(changes: Sequence[Correction]) -> str:
    """Return one sentence that names the photographs whose label changed, and one that says how the later label is taken."""
    named = "; ".join(for_terminal(change.why.removeprefix("label changed: ")) for change in changes[:MOST_LISTED])
    more = f"; and {len(changes) - MOST_LISTED:,} more" if len(changes) > MOST_LISTED else ""
    line = f"{changes[0].sha256},{changes[0].correction},WHY"
    return (
        f"{len(changes):,} photographs came again with another label, and the earlier one holds: {named}{more}. Where the later one "
        f"is right, add a line such as {line} to {NAME} in the data folder (first line {','.join(HEADER)})"
    )


def contradiction(inside: Mapping[str, Sequence[str]], first: Mapping[str, Row]) -> BadInput:
    """Return the error that lists the contradicting labels of the source, and a line that corrects the first of them."""
    sha256 = next(iter(inside))
    pairs = [f"{pair} (sha256 {content})" for content, pairs in inside.items() for pair in pairs]
    return BadInput(
        f"{len(pairs)} pairs of equal files carry both labels: {'; '.join(pairs[:MOST_LISTED])}. Remove the wrong one of each pair "
        f"from the source, or say which label holds in {NAME} in the data folder (first line {','.join(HEADER)}), by a line "
        f"for each content such as {sha256},{first[sha256].label},WHY"
    )
