"""Train: the weights are a function of the images, the recipe and nothing else; the best epoch is the one kept."""

import pytest

from tasks.images import manifest
from tasks.runs.config import Training
from tasks.runs.tables import read_table
from tasks.train import Spent, train

pytestmark = pytest.mark.slow


def recipe(**changed):
    return Training(**{"epochs": 3, "image_size": 32, **changed}).recipe()


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
    from tasks.models import networks

    *_, splits = prepared()
    model = train.fn(splits, recipe(), places)
    loaded = networks.load(model.file.path(places))
    assert networks.weights_digest(loaded) == model.weights_sha256
    assert model.file.path(places).stat().st_size < 3 * 4 * model.parameters, (
        "an optimizer would hold each weight twice more"
    )


def test_the_tutorials_network_keeps_its_last_epoch(prepared, places):
    *_, splits = prepared()
    model = train.fn(splits, Training(model="tutorial_dropout", epochs=2, batch_size=8).recipe(), places)
    assert model.parameters == 11_238_818
    assert model.kept_epoch == 2


def test_only_train_rows_are_learnt_from(prepared, places):
    *_, splits = prepared()
    rows = read_table(splits.table.path(places), manifest.Row)
    for row in rows:
        if row.split in ("test", "held_back"):
            manifest.stored(row, places).unlink()
    assert train.fn(splits, recipe(epochs=1), places).images == splits.by_split["train"]


def test_time_on_the_processors_is_counted():
    began = Spent.now()
    sum(number * number for number in range(2_000_000))
    spent = Spent.now() - began
    assert 0 < spent.cpu <= spent.wall * 4


def test_few_images_are_seen_more_often():
    from tasks.models.fitting import passes

    assert [passes(Training().recipe(), images) for images in (1, 850, 5_500, 10**6)] == [100, 30, 10, 10]
    assert passes(Training(epochs=3).recipe(), 850) == 3
    assert passes(Training(model="tutorial").recipe(), 850) == 4


def test_a_training_that_diverges_says_what_to_try():
    from tasks.models.fitting import Teller
    from tasks.runs.errors import BadInput

    told = []
    with pytest.raises(BadInput, match="loss became nan in epoch 3: try a lower --training.learning_rate"):
        Teller(told.append).on_epoch_end(
            2, {"loss": float("nan"), "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
        )
    assert told == []
