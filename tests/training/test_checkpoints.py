"""Checkpoints: each is whole or not there, the last whole one is found, and no code in a file is run."""

import pickle

import numpy as np
import pytest

from tasks.records.results import Epoch
from tasks.storage.files import sha256_of
from tasks.training import checkpoints
from tasks.training.checkpoints import State


def state(epochs: int, kept_epoch: int | None = None) -> State:
    history = tuple(
        Epoch(epoch=number, loss=1 / number, accuracy=0.5, validation_loss=0.1 + 0.2, validation_accuracy=0.75)
        for number in range(1, epochs + 1)
    )
    learner = [np.full((2, 3), epochs, np.float32), np.array(epochs, np.int64), np.array([7, 8], np.uint32)]
    return State(history, learner, kept_epoch, [np.ones(12, np.float32)] if kept_epoch else [])


def is_same(one: State, other: State) -> bool:
    for left, right in ((one.learner, other.learner), (one.best_weights, other.best_weights)):
        if [(a.dtype, a.shape, a.tobytes()) for a in left] != [(a.dtype, a.shape, a.tobytes()) for a in right]:
            return False
    return (one.history, one.kept_epoch) == (other.history, other.kept_epoch)


@pytest.mark.parametrize("kept_epoch", [None, 2])
def test_a_state_comes_back_bit_by_bit(tmp_path, kept_epoch):
    saved = state(3, kept_epoch)
    checkpoints.save(saved, tmp_path / "training")
    found = checkpoints.last(tmp_path / "training")
    assert found is not None
    assert is_same(found, saved)
    assert not is_same(found, state(2, kept_epoch))


def test_many_arrays_come_back_in_their_order(tmp_path):
    arrays = [np.array(number) for number in range(25)]
    checkpoints.save(state(1)._replace(learner=arrays), tmp_path)
    assert [int(array) for array in checkpoints.last(tmp_path).learner] == list(range(25))


def test_the_last_epoch_counts_and_one_before_it_stays(tmp_path):
    for epochs in range(8, 12):
        checkpoints.save(state(epochs), tmp_path)
    assert [path.name[:4] for path in checkpoints.files(tmp_path)] == ["0010", "0011"]
    assert len(checkpoints.last(tmp_path).history) == 11
    assert len(list(tmp_path.iterdir())) == 2, "no scratch is left"


def test_where_nothing_was_finished_nothing_is_found(tmp_path):
    assert checkpoints.last(tmp_path) is None
    assert checkpoints.last(tmp_path / "never made") is None


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [damage, lambda path: path.write_bytes(path.read_bytes()[:-9])], ids=["bit", "cut"])
def test_a_damaged_file_is_told_and_the_one_before_it_taken(tmp_path, capsys, harm):
    for epochs in (1, 2):
        checkpoints.save(state(epochs), tmp_path)
    victim = checkpoints.files(tmp_path)[-1]
    harm(victim)
    assert len(checkpoints.last(tmp_path).history) == 1
    told = capsys.readouterr().out
    assert told == f"train: {victim} is damaged, so the training goes on from an earlier epoch\n"
    harm(checkpoints.files(tmp_path)[0])
    assert checkpoints.last(tmp_path) is None
    assert checkpoints.files(tmp_path) == []


def test_what_a_killed_process_had_begun_to_write_is_not_seen(tmp_path):
    checkpoints.save(state(1), tmp_path)
    scratch = tmp_path / ".state.abc.scratch"
    scratch.mkdir()
    (scratch / "state.npz").write_bytes(b"half")
    assert len(checkpoints.last(tmp_path).history) == 1


def test_no_object_that_could_run_code_is_read(tmp_path):
    np.savez(tmp_path / "state.npz", told=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        checkpoints.read(tmp_path / "state.npz")


def write_pickled(path):
    np.savez(path, told=np.array([print], dtype=object))


@pytest.mark.parametrize(
    "write",
    [
        write_pickled,
        lambda path: path.write_bytes(pickle.dumps(print)),
        lambda path: path.write_bytes(b"no archive"),
        lambda path: np.savez(path, told=np.array("null")),
        lambda path: np.savez(path, told=np.array("[]")),
        lambda path: np.savez(path, other=np.array(1)),
    ],
    ids=["objects", "pickle", "text", "null", "list", "other names"],
)
def test_a_whole_file_that_is_no_state_is_told_and_the_one_before_it_taken(tmp_path, capsys, write):
    checkpoints.save(state(1), tmp_path)
    write(tmp_path / "forged.npz")
    victim = (tmp_path / "forged.npz").rename(tmp_path / f"0002-{sha256_of(tmp_path / 'forged.npz')[:16]}.npz")
    assert len(checkpoints.last(tmp_path).history) == 1
    assert capsys.readouterr().out == f"train: {victim} is damaged, so the training goes on from an earlier epoch\n"
