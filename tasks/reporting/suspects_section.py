"""Suspects section: labels that look wrong, in words, with the lines for `corrections.csv` that mend them."""

import csv
import io
from collections.abc import Sequence
from itertools import groupby

from tasks.dataset.corrections import HEADER, NAME
from tasks.evaluation.label_suspects import correction_of
from tasks.records.rows import Suspect
from tasks.reporting.markdown import Markdown, code, number_of, out_of, table
from tasks.settings.escaping import for_csv, for_terminal

MAX_LISTED, MAX_LINES = 50, 100  # parts in the table, lines below it
HEADS = ("", "Photograph", "Label", "Probably", "Score", "Why")


def suspects_section(suspects: Sequence[Suspect], judged: int) -> str:
    """Return which labels look wrong, the most suspect first, as Markdown; `judged` counts the images that were looked at."""
    if not suspects:
        return f"0 of {judged:,} labels look wrong."
    parts = by_part(suspects)
    first = parts[:MAX_LISTED]
    lines = [corrections_line(suspect) for images in first for suspect in images][:MAX_LINES]
    listed = f"; the first {len(first)} are listed" if len(parts) > len(first) else ""
    return "\n\n".join([
        f"**{out_of(len(suspects), judged)} labels look{'s' if len(suspects) == 1 else ''} wrong**, of {number_of(len(parts), 'part')}"
        f"{listed}. A part is defective or good as a whole. So all its photographs should have one label, and a network that never saw it "
        "should agree. Look at the photographs before you change a label: the network may have missed a defect. The score, 0.5 to 1, "
        "weighs the network's probability against the labels of the part.",
        table(HEADS, [cells(number, images) for number, images in enumerate(first, start=1)]),
        f"Where the label is wrong, add its line to `data/{NAME}`. `suspect_corrections.csv` in the run's folder has all "
        f"{number_of(len(suspects), 'line')}{f', here are the first {MAX_LINES}' if len(suspects) > len(lines) else ''}:",
        code_block([",".join(HEADER), *lines]),
    ])  # fmt: skip


def by_part(suspects: Sequence[Suspect]) -> list[list[Suspect]]:
    """Return the suspects of each part, the most suspect part first."""
    return [list(images) for _, images in groupby(suspects, key=lambda suspect: suspect.group or suspect.sha256)]


def cells(number: int, images: Sequence[Suspect]) -> tuple[str, ...]:
    """Return the cells of one part, given by its suspected photographs."""
    suspect = images[0]
    return (
        str(number),
        code(suspect.path),
        code(suspect.label),
        code(suspect.suggested),
        format_score(suspect.score),
        reason(suspect),
    )


def format_score(score: float) -> str:
    """Return a score with three digits; none is said to be certain."""
    return f"{min(score, 0.999):.3f}"


def reason(suspect: Suspect) -> str:
    """Say in one sentence what contradicts the label."""
    if suspect.kind == "image":
        return (
            f"{out_of(suspect.suspects, suspect.images)} photographs of the part disagree with the other "
            f"{suspect.images - suspect.suspects:,}; the network contradicts {suspect.contradictions:,} of these {suspect.images:,} labels"
        )
    if suspect.images == 1:
        chance = f"{suspect.defect_probability:.1%}"
        return f"a network that never saw the part gives its only photograph a defect probability of {chance}"
    return Markdown(
        f"all {suspect.images:,} photographs of the part have this label, and the network calls {suspect.contradictions:,} of them "
        f"{code(suspect.suggested)}"
    )


def corrections_line(suspect: Suspect) -> str:
    """Return the line of `corrections.csv` as text, as its reader takes it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(for_csv(cell) for cell in correction_of(suspect))
    return line.getvalue()


def code_block(lines: Sequence[str]) -> Markdown:
    """Return lines from outside as a block of code, to be copied."""
    return Markdown("\n".join(["```", *map(for_terminal, lines), "```"]))
