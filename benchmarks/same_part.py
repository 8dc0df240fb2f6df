"""Which photographs show one part, beside a table that says so: precision, recall, seconds.

python benchmarks/same_part.py --source tiles.zip --good MT_Free --truth tiles-parts.csv --json same_part.json

The table has the columns `path`, below the root of the source, and `part`. The audit never sees it.
"""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Hashable, Iterable
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks.isolation import peak_bytes
from benchmarks.preparation import validate_images, working_places, write_figures
from tasks.records.results import PartNames
from tasks.records.rows import Member, Row
from tasks.settings.settings import AuditSettings, ClassSettings
from tasks.storage.tables import read_table
from tasks.training.stopwatch import Elapsed


def main() -> None:
    """Audit the source, compare its groups with the table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", required=True, help="a zip or a folder")
    parser.add_argument("--truth", type=Path, help="CSV `path,part`; without it only groups and seconds are printed")
    parser.add_argument("--good", default="", help="folder of good parts; else as it is found")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    figures = measure_audit(options.source, options.truth, options.good)
    for name, value in figures.items():
        print(
            f"{name.replace('_', ' '):>24}: {value:,.4g}"
            if isinstance(value, float)
            else f"{name.replace('_', ' '):>24}: {value}"
        )
    write_figures(figures, options.json)


def measure_audit(source: str, truth: Path | None, good: str) -> dict:
    """Return what the audit finds in a source, and how long it takes with nothing cached."""
    from tasks.audit import audit  # late, as in `benchmarks.preparation`

    with working_places(None) as places:
        manifest = validate_images(source, (), places, classes=ClassSettings(good=good or None))
        began = Elapsed.now()
        with redirect_stdout(sys.stderr):
            result = audit.fn(manifest, PartNames(), AuditSettings(), places)
        elapsed = Elapsed.now() - began
        groups = {member.sha256: member.group for member in read_table(result.groups.path(places), Member)}
        rows = read_table(manifest.table.path(places), Row)
    return {
        "images": result.contents,
        "rings": result.rings,
        "parts_by": result.parts_by or "unknown",
        "groups": len(set(groups.values())),
        **({} if truth is None else compare_pairs({row.path: groups[row.sha256] for row in rows}, read_truth(truth))),
        "seconds": elapsed.wall,
        "processor_seconds": elapsed.cpu,
        "peak_mebibytes": peak_bytes() / 2**20,
    }


def read_truth(table: Path) -> dict[str, str]:
    """Return the part of each path of the table."""
    with table.open(newline="", encoding="utf-8") as opened:
        return {line["path"]: line["part"] for line in csv.DictReader(opened)}


def compare_pairs(groups: dict[str, str], parts: dict[str, str]) -> dict:
    """Compare the pairs of one group with the pairs of one part, among the paths that both have."""
    paths = groups.keys() & parts.keys()
    both = count_pairs((groups[path], parts[path]) for path in paths)
    grouped, true = count_pairs(groups[path] for path in paths), count_pairs(parts[path] for path in paths)
    return {
        "compared_images": len(paths),
        "true_parts": len({parts[path] for path in paths}),
        "true_pairs": true,
        "pairs_of_one_group": grouped,
        "precision": both / grouped if grouped else None,
        "recall": both / true if true else None,
    }


def count_pairs(keys: Iterable[Hashable]) -> int:
    """Count the pairs of equal keys."""
    return sum(count * (count - 1) // 2 for count in Counter(keys).values())


if __name__ == "__main__":
    main()
