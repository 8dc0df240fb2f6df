"""Checkpoints: store all that an interrupted training needs to go on after its last finished epoch, one file an epoch.

A file appears complete or not at all, has its digest in its name, and holds plain arrays: reading it runs no code.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from tasks.records.results import Epoch
from tasks.settings.messages import say
from tasks.storage.files import publish, scratch_beside, sha256_of

# Errors of reading an undamaged file that is not a state, such as one that holds pickled objects.
NO_STATE = (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, BadZipFile)
FILES_ON_DISK = 2  # of states: the last one, and the one before it in case the last is damaged


class State(NamedTuple):
    """The state of a training at the end of an epoch."""

    history: tuple[Epoch, ...]
    learner: list[np.ndarray]
    """Every variable: weights, random generators, optimizer."""
    kept_epoch: int | None
    """The best epoch so far, counted from 1; None before the epochs that are compared."""
    best_weights: list[np.ndarray]
    """Weights of that epoch."""


def save(state: State, folder: Path) -> None:
    """Write the state to the folder, and delete all earlier states but the one before it."""
    facts = {"history": [epoch.model_dump() for epoch in state.history], "kept_epoch": state.kept_epoch}
    arrays = {"told": np.array(json.dumps(facts))}
    for kind, variables in (("learner", state.learner), ("kept", state.best_weights)):
        arrays |= {f"{kind}_{number}": array for number, array in enumerate(variables)}
    with scratch_beside(folder / "state.npz") as scratch:
        np.savez(scratch, **arrays)  # type: ignore[arg-type]  # NumPy types every name as its own option
        publish(scratch, folder / f"{len(state.history):04}-{sha256_of(scratch)[:16]}.npz")
    for earlier in files(folder)[:-FILES_ON_DISK]:
        earlier.unlink(missing_ok=True)


def files(folder: Path) -> list[Path]:
    """Return the files of the states, from the earliest epoch to the last."""
    return sorted(folder.glob("[0-9]*-*.npz"))


def last(folder: Path) -> State | None:
    """Return the state of the last epoch with an undamaged file; None without one. Report and delete each damaged file."""
    for path in reversed(files(folder)):
        if sha256_of(path)[:16] == path.stem.rpartition("-")[2]:
            with suppress(*NO_STATE):
                return read(path)
        say(f"train: {path} is damaged, so the training goes on from an earlier epoch")
        path.unlink()
    return None


def read(path: Path) -> State:
    """Read a state. Raises one of `NO_STATE` when the file is not a state."""
    with np.load(path, allow_pickle=False) as bundle:
        facts = json.loads(bundle["told"].item())

        def arrays(kind: str) -> list[np.ndarray]:
            count = sum(name.startswith(f"{kind}_") for name in bundle.files)
            return [bundle[f"{kind}_{number}"] for number in range(count)]

        return State(
            tuple(map(Epoch.model_validate, facts["history"])), arrays("learner"), facts["kept_epoch"], arrays("kept")
        )
