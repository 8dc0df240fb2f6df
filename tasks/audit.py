"""Audit: which images repeat others, and how many of the repeats lie on both sides of the published split."""

from prefect import task

from tasks.images.copies import Copy, Member, exact_copies, groups
from tasks.images.manifest import Row
from tasks.runs.caching import same_step
from tasks.runs.config import Auditing, Places
from tasks.runs.records import Audit, Manifest
from tasks.runs.tables import read_table, store_table


@task(cache_policy=same_step)
def audit(manifest: Manifest, auditing: Auditing, places: Places) -> Audit:
    """The copies byte by byte, a row a pair, and the groups that they form."""
    rows = read_table(manifest.table.path(places), Row)
    pairs = exact_copies(rows)
    across = sum({pair.published, pair.copy_published} == {"train", "test"} for pair in pairs)
    print(f"audit: {len(pairs):,} pairs of equal files, {across:,} of them between train and test")
    return Audit(
        pairs=store_table("audit", pairs, Copy, places),
        groups=store_table("groups", groups(rows), Member, places),
        exact_copies_across_splits=across,
    )
