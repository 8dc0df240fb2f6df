"""Product: the classes, and the images that the last run knew with their labels. The review page labels in these terms."""

from pathlib import Path
from typing import NamedTuple

from tasks.inference import decision, model_folder
from tasks.pipeline.last_run import last_run, model_of
from tasks.records.rows import Row, is_defect
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, Places
from tasks.storage.tables import columns, read_table


class Product(NamedTuple):
    """What the last run says of the part that is inspected."""

    run: Path
    """Folder of the run."""
    classes: Classes
    kinds: tuple[str, ...]
    """Kinds of defects, as their folders are called; one where there are no kinds."""
    rows: dict[str, Row]
    """The images that the run used, by sha256: of equal ones the first."""
    refused: frozenset[str]
    """sha256 of the files that it could not use."""

    def label_of(self, folder: str) -> str:
        """Return the class of a folder of the inbox; "" where it is none of its class folders."""
        if folder == self.classes.good:
            return self.classes.good
        return self.classes.defect if folder in (*self.kinds, self.classes.defect) else ""

    def is_known(self, sha256: str) -> bool:
        """Return whether the run knew the content, so that a correction is what mends its label."""
        return sha256 in self.rows or sha256 in self.refused


def load_product(places: Places) -> Product:
    """Read what the last run knew. Raises BadInput where there was none, or where its files are damaged."""
    run = last_run(places)
    if run is None:
        raise BadInput(
            f"there was no run in {places.artifacts_root}: flows/retrain.py makes one, which says what is inspected"
        )
    rule = model_folder.path(model_of(run), places) / "decision.json"
    try:
        classes = decision.read(rule).classes
    except OSError as error:
        raise BadInput(
            f"{rule} cannot be read ({error.strerror}), and the classes are not known: run flows/retrain.py again"
        ) from error
    try:
        rows = {row.sha256: row for row in reversed(read_table(run / "splits.csv", Row))}
    except (OSError, ValueError) as error:
        raise BadInput(f"{run / 'splits.csv'} is damaged or cannot be read ({error})") from error
    kinds = {row.kind for row in rows.values() if is_defect(row, classes) and row.kind and row.kind != classes.good}
    refused = frozenset(sha256 for (sha256,) in columns(run / "quarantine.csv", "sha256"))
    return Product(run, classes, tuple(sorted(kinds)) or (classes.defect,), rows, refused)
