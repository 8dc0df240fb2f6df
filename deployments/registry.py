"""Registry: print the address of the registry for MLflow's own programs, after the looks that recast itself takes.

They follow the addresses that stand in the database, and make a new one where it is missing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
from tasks.runs import registry, tracker
from tasks.runs.commandline import Arguments, exit_status, parse
from tasks.runs.config import Places


class RegistryArguments(Arguments):
    """Print the address of the registry."""

    places: Places = Places()


def main() -> None:
    places = parse(RegistryArguments, sys.argv[1:]).places
    tracker.prepare(places)
    if why := registry.out_of_use(places):
        print(why, file=sys.stderr)
    print(tracker.address(places))


if __name__ == "__main__":
    sys.exit(exit_status(main))
