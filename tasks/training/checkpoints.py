"""Checkpoints: all that an interrupted training needs to go on after its last finished epoch, a file an epoch.

A file is there whole or not at all, bears its own digest, and holds plain arrays: nothing in it is run when it is read.
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

# What reading raises for a file that is whole and no state, such as one that holds pickled objects.
NO_STATE = (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, BadZipFile)
KEPT = 2  # files: the last one, and the one before in case the last is damaged


class State(NamedTuple):
    """A training at the end of an epoch."""

    history: tuple[Epoch, ...]
    learner: list[np.ndarray]
    """Every variable: weights, random generators, optimizer."""
    kept_epoch: int | None
    """The best so far; None before the epochs of which the best is kept."""
    kept: list[np.ndarray]
    """Weights of that epoch."""


def save(state: State, room: Path) -> None:
    """Writes the state beside those of earlier epochs, of which one stays."""
    told = {"history": [epoch.model_dump() for epoch in state.history], "kept_epoch": state.kept_epoch}
    arrays = {"told": np.array(json.dumps(told))}
    for kind in ("learner", "kept"):
        arrays |= {f"{kind}_{number}": array for number, array in enumerate(getattr(state, kind))}
    with scratch_beside(room / "state.npz") as scratch:
        np.savez(scratch, **arrays)  # type: ignore[arg-type]  # it takes names of arrays for a switch of its own
        publish(scratch, room / f"{len(state.history):04}-{sha256_of(scratch)[:16]}.npz")
    for earlier in files(room)[:-KEPT]:
        earlier.unlink(missing_ok=True)


def files(room: Path) -> list[Path]:
    """From the earliest epoch to the last."""
    return sorted(room.glob("[0-9]*-*.npz"))


def last(room: Path) -> State | None:
    """The state of the last epoch whose file is whole; each that is not is told in one line."""
    for path in reversed(files(room)):
        if sha256_of(path)[:16] == path.stem.rpartition("-")[2]:
            with suppress(*NO_STATE):
                return read(path)
        say(f"train: {path} is damaged, so the training goes on from an earlier epoch")
        path.unlink()
    return None


def read(path: Path) -> State:
    with np.load(path, allow_pickle=False) as bundle:
        told = json.loads(bundle["told"].item())

        def arrays(kind: str) -> list[np.ndarray]:
            count = sum(name.startswith(f"{kind}_") for name in bundle.files)
            return [bundle[f"{kind}_{number}"] for number in range(count)]

        history = tuple(Epoch.model_validate(epoch) for epoch in told["history"])
        return State(history, arrays("learner"), told["kept_epoch"], arrays("kept"))
