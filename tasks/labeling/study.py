"""Study: the photographs of an agreement study, drawn once from those that the last run judged, and stored in `artifacts/study.csv`."""

import csv
import os
import secrets
from datetime import UTC, datetime
from typing import NamedTuple

from tasks.labeling.product import Product
from tasks.labeling.study_choice import choose_photographs, part_of
from tasks.settings.errors import BadInput
from tasks.settings.settings import Places
from tasks.storage.locks import exclusive_lock
from tasks.storage.tables import read_table, write_rows

NAME = "study.csv"
PARTS = 50  # of a study, as AIAG's example of an attribute study has them


class StudyPhotograph(NamedTuple):
    """A photograph of the study."""

    sha256: str
    part: str
    """Its group, where parts are known; else the photograph itself."""
    hard: str
    """Why its part is a hard one; "" where chance alone took it."""
    path: str
    """As in `Row`."""
    origin: str
    label: str
    """The label that it had."""
    model_answer: str
    """`pass`, `review` or `reject`, of the run."""
    run: str
    seed: int
    """Repeats the draw from this run."""
    drawn: str
    """Time in UTC, ISO 8601. Answers from before belong to another study."""


def read_study(places: Places) -> list[StudyPhotograph]:
    """Return the photographs of the study; none where none is drawn. Raises BadInput where its table is damaged."""
    path = places.artifacts_root / NAME
    try:
        return read_table(path, StudyPhotograph)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise BadInput(
            f"{path} is damaged or cannot be read ({error}): restore it from a backup, or move it away and draw a new study"
        ) from error


def draw_study(
    product: Product, places: Places, *, parts: int = PARTS, seed: int | None = None, replace: bool = False
) -> list[StudyPhotograph]:
    """Draw a study from the photographs that the last run judged, store it, and return it.

    Half of the parts are hard ones: with a suspect label, decided wrongly, sent to review or near the limits. The others are random, of
    both classes alike. Raises BadInput where a study is open and is not to be replaced, and where the run judged nothing.
    """
    seed = secrets.randbelow(2**32) if seed is None else seed
    drawn = datetime.now(UTC).isoformat(timespec="seconds")
    path = places.artifacts_root / NAME
    with exclusive_lock(places.artifacts_root / ".study.lock"):
        earlier = read_study(places)
        if earlier and not replace:
            raise BadInput(
                f"a study is open, drawn {earlier[0].drawn[:10]}: people answer it on the review page; --replace-study draws another one"
            )
        chosen = choose_photographs(product, parts, seed, places)
        study = [
            StudyPhotograph(row.sha256, part_of(row), cause, product.rows[row.sha256].path, row.origin,
                            product.rows[row.sha256].label, row.decision, product.run.name, seed, drawn)
            for row, cause in chosen
        ]  # fmt: skip
        if earlier:
            os.replace(path, path.with_name(f"study-{earlier[0].drawn[:19].replace(':', '-')}.csv"))
        write_rows(path, (row._asdict() for row in study), StudyPhotograph._fields)
    return study
