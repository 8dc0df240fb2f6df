"""Label section: which images a person should label first, as a table."""

from collections.abc import Sequence

from tasks.monitoring.active_learning import ToLabel
from tasks.reporting.markdown import code, table

MAX_LISTED = 50  # images, in the Prefect UI


def label_section(queue: Sequence[ToLabel]) -> str:
    """Return a table of the first images of the queue, as Markdown."""
    if not queue:
        return "No image of the inbox waits for a label."
    rows = [
        (str(place), code(image.path), code(image.reason)) for place, image in enumerate(queue[:MAX_LISTED], start=1)
    ]
    return (
        f"{len(queue):,} images of the inbox have no label; those from which most can be learned come first.\n\n"
        f"{table(('', 'Image', 'What the model in use says'), rows)}"
    )
