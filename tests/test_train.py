"""Train: images and recipe alone decide the weights, and the best epoch is kept."""

from operator import attrgetter
from types import SimpleNamespace

import pytest
from conftest import copy_places, prepare, write_dataset, write_untrained_model

from tasks.records.results import Epoch
from tasks.records.rows import Content, Row, stored_path
from tasks.settings.settings import ChampionModel, Places, Recipe, TrainingSettings
from tasks.storage.files import store
from tasks.storage.tables import read_table, store_table
from tasks.train import train
from tasks.training import training_run
from tasks.training.stopwatch import Elapsed

pytestmark = pytest.mark.usefixtures("tensorflow")


sha256 = attrgetter("sha256")


def recipe(**changed):
    return TrainingSettings(**{"epochs": 3, "image_size": 32, **changed}).recipe()


@pytest.fixture(scope="module")
def whole(tensorflow, photograph, tmp_path_factory):
    """(places, splits, model) of a training that nothing interrupted, never changed by a test."""
    top = tmp_path_factory.mktemp("whole")
    places = Places(data=top / "data", artifacts=top / "artifacts")
    *_, splits = prepare(write_dataset(top, photograph, {"train": 24, "test": 8}), places)
    return places, splits, train.fn(splits, recipe(), places)


@pytest.fixture
def own_whole(whole, places):
    """The same splits and model, in places of the test's own."""
    made, splits, model = whole
    copy_places(made, places)
    return splits, model


def test_training_gives_a_complete_record(whole):
    places, splits, model = whole
    assert model.damage(places) is None
    assert model.images == splits.by_split["train"]
    assert [epoch.epoch for epoch in model.history] == [1, 2, 3]
    assert model.kept_epoch == 3, "of three epochs the last quarter is the last"
    assert model.cpu_seconds > 0
    assert "Total params" in model.summary
    assert model.resumed_from_epoch is None
    assert not list(places.data.glob("training/*"))


def test_the_train_rows_and_the_seed_decide_the_weights_and_no_other_row_is_read(own_whole, places):
    splits, first = own_whole
    for row in read_table(splits.table.path(places), Row):
        if row.split in ("test", "held_back"):
            stored_path(row, places).unlink()
    again, other = (train.fn(splits, recipe(seed=seed), places) for seed in (0, 2))
    assert again.images == splits.by_split["train"]
    assert (again.weights_sha256, again.file.sha256) == (first.weights_sha256, first.file.sha256)
    assert other.weights_sha256 != first.weights_sha256


def test_the_file_holds_the_weights_of_the_kept_epoch_and_no_optimizer(whole):
    from tasks.networks import networks

    places, _, model = whole
    loaded = networks.load(model.file.path(places))
    assert networks.weights_digest(loaded) == model.weights_sha256
    assert model.file.path(places).stat().st_size < 3 * 4 * model.parameters, (
        "an optimizer would hold each weight twice more"
    )


def test_time_on_the_processors_is_counted():
    began = Elapsed.now()
    sum(number * number for number in range(2_000_000))
    spent = Elapsed.now() - began
    assert 0 < spent.cpu <= spent.wall * 4


def test_a_training_that_was_killed_goes_on_and_leaves_nothing_behind(own_whole, places, monkeypatch, capsys):
    splits, whole = own_whole

    class Killed(Exception):
        pass

    def kill(history):
        if len(history) == 2:
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(training_run, "epoch_reporter", lambda *_: kill)
        train.fn(splits, recipe(), places)
    assert len(list(places.data.glob("training/*/*.npz"))) == 2
    train.fn(splits, recipe(seed=9), places)
    assert len(list(places.data.glob("training/*/*.npz"))) == 2, "another training has its own folder"
    capsys.readouterr()
    model = train.fn(splits, recipe(), places)
    assert "went on after epoch 2, which an interrupted run had finished" in capsys.readouterr().out
    assert (model.resumed_from_epoch, model.weights_sha256) == (2, whole.weights_sha256)
    assert model.history == whole.history
    assert not list(places.data.glob("training/*"))


def test_the_images_that_were_learnt_from_are_listed(whole):
    places, splits, model = whole
    rows = read_table(splits.table.path(places), Row)
    listed = [content.sha256 for content in read_table(model.learnt.path(places), Content)]
    assert listed == sorted({row.sha256 for row in rows if row.split == "train"})


def continuing_recipe(model, splits, places) -> Recipe:
    """The recipe that continues from this model, which is in use as if it had been judged."""
    decision = store(lambda path: path.write_text("{}"), places, "data", "decisions/decision.json")
    exports = write_untrained_model(model, SimpleNamespace(decision=decision), places)
    champion = ChampionModel(digest=exports.digest, model=model.name, image_size=model.image_size)
    return TrainingSettings(image_size=32, start_from="champion", seed=4).recipe(champion=champion)


def test_training_continues_from_the_model_in_use(prepared, places, monkeypatch, capsys):
    """Of which half of the images are not yet known."""
    *_, splits = prepared()
    rows = read_table(splits.table.path(places), Row)
    train_rows = [row for row in rows if row.split == "train"]
    first = [row for row in rows if row.split != "train" or row.sha256 < sorted(train_rows, key=sha256)[20].sha256]
    table = store_table("splits", first, Row, places)
    before = train.fn(splits.model_copy(update={"table": table}), recipe(epochs=8), places)
    assert before.kept_epoch == min((7, 8), key=lambda number: before.history[number - 1].validation_loss)
    going_on = continuing_recipe(before, splits, places)
    capsys.readouterr()
    model = train.fn(splits, going_on, places)
    said = capsys.readouterr().out
    new = len(train_rows) - 20
    assert f"continues from model {going_on.champion.digest[:12]} with {new} new images and 20 of 20 old ones" in said
    assert model.started_from == going_on.champion.digest
    assert len(model.history) <= 0.2 * 100, "of the 100 epochs of so few images"
    assert model.history[0].loss < before.history[0].loss
    learnt = {content.sha256 for content in read_table(model.learnt.path(places), Content)}
    assert learnt == {row.sha256 for row in train_rows}


def test_without_a_model_in_use_training_starts_anew_and_says_so(own_whole, places, capsys):
    splits, anew = own_whole
    asked = recipe(start_from="champion")
    capsys.readouterr()
    model = train.fn(splits, asked, places)
    assert "train: from new weights, since no model is in use" in capsys.readouterr().out
    assert model.started_from is None
    assert model.weights_sha256 == anew.weights_sha256


def test_every_epoch_moves_the_bar_and_those_of_an_interrupted_run_too(capsys):
    moves = []
    shown = []
    tell = training_run.epoch_reporter(5, moves.append, lambda history, of: shown.append((len(history), of)))
    epochs = [
        Epoch(epoch=one, loss=0.5, accuracy=0.5, validation_loss=0.5, validation_accuracy=0.5) for one in range(1, 5)
    ]
    for number in (3, 4):
        tell(epochs[:number])
    assert len(moves) == 4
    assert shown == [(3, 5), (4, 5)]
    assert capsys.readouterr().out.startswith("epoch 3 of 5: loss 0.5000, accuracy 50.00%")
