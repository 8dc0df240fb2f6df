"""Migrations: which schemas of a database an installed library knows, read from its Alembic scripts without importing it."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NAMED = re.compile(r'^(down_revision|revision) = ["\'](\w+)["\']', re.MULTILINE)


@cache
def schemas(library: str, folder: str) -> tuple[frozenset[str], str]:
    """Return the schemas that the installed library knows, and the newest of them; "" where it is not found.

    Args:
        library: Name of its package.
        folder: Where the migration scripts lie in the package.
    """
    spec = find_spec(library)
    places = spec.submodule_search_locations if spec else None
    scripts = Path((places or ["."])[0], folder).glob("*.py")
    named = [pair for script in scripts for pair in NAMED.findall(script.read_text("utf-8"))]
    revisions, followed = (
        {schema for name, schema in named if name == wanted} for wanted in ("revision", "down_revision")
    )
    newest = revisions - followed
    return frozenset(revisions), newest.pop() if len(newest) == 1 else ""
