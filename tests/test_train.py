"""Train: images and recipe alone decide the weights, and the best epoch is kept."""

from operator import attrgetter
from types import SimpleNamespace

import pytest
from conftest import write_untrained_model

from tasks.records.results import Epoch
from tasks.records.rows import Content, Row, stored_path
from tasks.settings.settings import ChampionModel, Recipe, TrainingSettings
from tasks.storage.files import store
from tasks.storage.tables import read_table, store_table
from tasks.train import train
from tasks.training import training_run
from tasks.training.stopwatch import Elapsed

pytestmark = pytest.mark.usefixtures("tensorflow")


sha256 = attrgetter("sha256")


def recipe(**changed):
    return TrainingSettings(**{"epochs": 3, "image_size": 32, **changed}).recipe()


def test_the_best_epoch_of_the_last_quarter_is_kept(prepared, places):
    *_, splits = prepared(train=16, test=8)
    model = train.fn(splits, recipe(epochs=8), places)
    assert model.kept_epoch == min((7, 8), key=lambda number: model.history[number - 1].validation_loss)


def test_training_gives_a_complete_record(prepared, places):
    *_, splits = prepared()
    model = train.fn(splits, recipe(), places)
    assert model.damage(places) is None
    assert model.images == splits.by_split["train"]
    assert [epoch.epoch for epoch in model.history] == [1, 2, 3]
    assert model.kept_epoch == 3, "of three epochs the last quarter is the last"
    assert model.cpu_seconds > 0
    assert "Total params" in model.summary


def test_equal_seeds_give_equal_weights_and_another_seed_others(prepared, places):
    *_, splits = prepared()
    digests = [
        (model.weights_sha256, model.file.sha256)
        for model in (train.fn(splits, recipe(seed=seed), places) for seed in (1, 1, 2))
    ]
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]


def test_the_file_holds_the_weights_of_the_kept_epoch_and_no_optimizer(prepared, places):
    from tasks.networks import networks

    *_, splits = prepared()
    model = train.fn(splits, recipe(), places)
    loaded = networks.load(model.file.path(places))
    assert networks.weights_digest(loaded) == model.weights_sha256
    assert model.file.path(places).stat().st_size < 3 * 4 * model.parameters, (
        "an optimizer would hold each weight twice more"
    )


def test_the_tutorials_network_keeps_its_last_epoch(prepared, places):
    *_, splits = prepared()
    model = train.fn(splits, TrainingSettings(model="tutorial_dropout", epochs=2, batch_size=8).recipe(), places)
    assert model.parameters == 11_238_818
    assert model.kept_epoch == 2


def test_only_train_rows_are_learnt_from(prepared, places):
    *_, splits = prepared()
    rows = read_table(splits.table.path(places), Row)
    for row in rows:
        if row.split in ("test", "held_back"):
            stored_path(row, places).unlink()
    assert train.fn(splits, recipe(epochs=1), places).images == splits.by_split["train"]


def test_time_on_the_processors_is_counted():
    began = Elapsed.now()
    sum(number * number for number in range(2_000_000))
    spent = Elapsed.now() - began
    assert 0 < spent.cpu <= spent.wall * 4


def test_a_training_that_was_killed_goes_on_and_leaves_nothing_behind(prepared, places, monkeypatch, capsys):
    *_, splits = prepared()
    whole = train.fn(splits, recipe(), places)
    assert whole.resumed_from_epoch is None
    assert not list(places.data.glob("training/*"))

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


def test_the_images_that_were_learnt_from_are_listed(prepared, places):
    *_, splits = prepared()
    model = train.fn(splits, recipe(epochs=1), places)
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


def test_without_a_model_in_use_training_starts_anew_and_says_so(prepared, places, capsys):
    *_, splits = prepared()
    asked = recipe(epochs=1, start_from="champion")
    capsys.readouterr()
    model = train.fn(splits, asked, places)
    assert "train: from new weights, since no model is in use" in capsys.readouterr().out
    assert model.started_from is None
    assert model.weights_sha256 == train.fn(splits, recipe(epochs=1), places).weights_sha256


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
