"""Trainer: an interrupted training ends as an uninterrupted one, and equal seeds end alike."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from threading import Event

import numpy as np
import pytest

from tasks.images.marks import DEFECT
from tasks.images.views import shape
from tasks.networks.tuning import tune_recipe
from tasks.settings.errors import BadInput
from tasks.settings.settings import TrainingSettings, TunedRecipe


def recipe(model: str = "compact", **changed) -> TunedRecipe:
    """Small and short, of any network."""
    size = 512 if model == "ring" else 32
    asked = {"epochs": 4, "batch_size": 8, **changed}
    return tune_recipe(
        TrainingSettings(**asked).recipe().model_copy(update={"model": model, "image_size": size}), "cpu"
    )


def examples(count: int, seed: int, view: str = "raw"):
    """Noise, with a bright square where the label is 1, of two origins of unequal size; marked for a network with a map of the picture."""
    from tasks.training.input_pipeline import Examples

    labels = np.arange(count, dtype=np.int32) % 2
    pixels = np.random.default_rng(seed).integers(0, 200, (count, *shape(view, 32))).astype(np.uint8)
    pixels[labels == 1, 5:12, 5:12] = 255
    marks = np.zeros((count, 32, 32), np.uint8)
    marks[labels == 1, 5:12, 5:12] = DEFECT
    strata = (np.arange(count) % 3 == 0).astype(np.int32)
    return Examples(pixels, labels, strata, marks if view == "detail" else None)


class Killed(Exception):
    """Stands for a kill between two epochs; those inside an epoch are tried in `benchmarks/kills.py`."""


def fit_network(recipe, checkpoint_folder=None, *, killed_after=None, **more):
    from tasks.training.trainer import fit

    def report_epoch(history):
        if len(history) == killed_after:
            raise Killed

    return fit(
        examples(30, 0, recipe.view), examples(10, 1, recipe.view), recipe, report_epoch, checkpoint_folder, **more
    )


@cache
def left_alone(model: str = "compact"):
    """The training of `recipe` that nothing disturbed; it is done once."""
    return fit_network(recipe(model))


def digest(found):
    from tasks.networks.networks import weights_digest

    return weights_digest(found.network)


@pytest.mark.parametrize("model", ["tutorial_dropout", "patch"])
def test_an_interrupted_training_ends_as_one_that_was_left_alone(model, tmp_path):
    """Dropout too: its random numbers go on where they were. `patch` learns from masks besides."""
    whole = left_alone(model)
    assert whole.resumed_from_epoch is None
    for epoch in (1, 3):
        with pytest.raises(Killed):
            fit_network(recipe(model), tmp_path, killed_after=epoch)
    found = fit_network(recipe(model), tmp_path)
    assert found.resumed_from_epoch == 3
    assert found.history == whole.history
    assert found.kept_epoch == whole.kept_epoch
    assert digest(found) == digest(whole)
    again = fit_network(recipe(model), tmp_path, killed_after=4)
    assert again.resumed_from_epoch == 4, "what had ended is not trained again"
    assert digest(again) == digest(whole)


def test_what_other_threads_draw_changes_no_training():
    """As Prefect's threads do in the process of a task. The network has dropout, which draws in each step."""
    alone = left_alone("tutorial_dropout")
    over = Event()

    def drawing() -> None:
        while not over.wait(0.0001):
            random.random()

    with ThreadPoolExecutor(1) as others:
        others.submit(drawing)
        try:
            beside = fit_network(recipe("tutorial_dropout"))
        finally:
            over.set()
    assert beside.history == alone.history
    assert digest(beside) == digest(alone)


def test_a_rehearsal_changes_no_training():
    from tasks.training.trainer import run_warm_up_step

    before = left_alone()
    run_warm_up_step(recipe())
    assert digest(fit_network(recipe())) == digest(before)


def test_where_defects_are_marked_the_map_learns_where_they_lie():
    found = fit_network(recipe("patch", epochs=30))
    shown = examples(10, 2, "detail")
    maps = found.network.predict(shown.pixels.astype(np.float32), verbose=0)["map"]
    assert maps.shape == (10, 4, 4)
    defective = maps[shown.labels == 1]
    assert defective[:, 0:2, 0:2].mean() > defective[:, 2:, 2:].mean() + 1, (
        "the square lies in the first two rows and columns"
    )


def test_probabilities_have_the_odds_of_the_training_images_although_classes_are_shown_equally_often():
    from tasks.networks.networks import build
    from tasks.training.trainer import restore_odds

    network, pixels = build("patch", 32), examples(4, 0, "detail").pixels.astype(np.float32)
    before = network.predict_on_batch(pixels)
    restore_odds(network, np.array([1] + 9 * [0]))
    after = network.predict_on_batch(pixels)
    margins = [outputs["logits"][:, 1] - outputs["logits"][:, 0] for outputs in (before, after)]
    assert margins[1] - margins[0] == pytest.approx(-np.log(9), abs=1e-4)
    assert after["map"] - before["map"] == pytest.approx(-np.log(9), abs=1e-4)


def test_after_damage_training_goes_on_from_the_epoch_before(tmp_path, capsys):
    with pytest.raises(Killed):
        fit_network(recipe(), tmp_path, killed_after=3)
    last = sorted(tmp_path.iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-1])
    found = fit_network(recipe(), tmp_path)
    assert found.resumed_from_epoch == 2
    assert f"{last} is damaged" in capsys.readouterr().out
    assert digest(found) == digest(left_alone())


def test_what_was_learnt_with_another_optimizer_is_not_taken_up(tmp_path):
    """As on a GPU that computes in float16, whose optimizer keeps a scale of the loss besides."""
    with pytest.raises(Killed):
        fit_network(recipe(precision="mixed_float16"), tmp_path, killed_after=2)
    assert fit_network(recipe(), tmp_path).resumed_from_epoch is None


def test_the_best_of_the_last_quarter_is_kept_through_an_interruption(tmp_path):
    whole = fit_network(recipe(epochs=8))
    best = min((7, 8), key=lambda number: whole.history[number - 1].validation_loss)
    assert whole.kept_epoch == best
    with pytest.raises(Killed):
        fit_network(recipe(epochs=8), tmp_path, killed_after=7)
    assert digest(fit_network(recipe(epochs=8), tmp_path)) == digest(whole)


def test_the_tutorials_network_keeps_its_last_epoch_although_an_earlier_one_was_better():
    """The labels of validation are wrong: the more it learns, the worse it gets."""
    from tasks.training.trainer import fit

    shown, validated = examples(30, 0), examples(10, 1)
    validated = replace(validated, labels=1 - validated.labels)
    found = fit(shown, validated, recipe("tutorial", epochs=16), lambda history: None)
    losses = [epoch.validation_loss for epoch in found.history]
    assert min(losses[12:]) < losses[-1], "another network would keep the best of the last quarter"
    assert found.kept_epoch == 16


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_network_that_learnt_in_half_precision_is_kept_in_float32(precision, tmp_path):
    import keras

    from tasks.networks import networks

    found = fit_network(recipe(precision=precision))
    assert {layer.dtype_policy.name for layer in found.network.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32", "others compute as before"
    assert found.history[-1].loss < found.history[0].loss
    assert digest(found) != digest(left_alone())
    networks.save(found.network, tmp_path / "model.keras")
    assert networks.weights_digest(networks.load(tmp_path / "model.keras")) == digest(found)


def test_training_can_start_from_the_weights_of_a_file(tmp_path):
    from tasks.networks import networks

    first = fit_network(recipe(epochs=6))
    networks.save(first.network, tmp_path / "model.keras")
    further = fit_network(recipe(epochs=1, learning_rate=1e-5), start=tmp_path / "model.keras")
    anew = fit_network(recipe(epochs=1, learning_rate=1e-5))
    assert further.history[0].loss < 0.5 * anew.history[0].loss


def test_few_images_are_seen_more_often():
    from tasks.training.trainer import epoch_budget

    for model in ("compact", "ring"):
        unset = TrainingSettings(model=model).recipe().model_copy(update={"epochs": None})
        few, some, many, most = (epoch_budget(unset, images) for images in (1, 850, 5_500, 10**6))
        assert 100 == few > some > many >= most > 1
    assert epoch_budget(TrainingSettings(epochs=3).recipe(), 850) == 3
    assert epoch_budget(TrainingSettings(model="tutorial").recipe(), 850) == 4


@pytest.mark.parametrize(("shown", "epochs"), [(5_500, 2), (2_000, 4), (1_024, 8), (100, 26)])
def test_going_on_costs_a_share_of_a_training_from_new_weights(shown, epochs):
    from tasks.training.trainer import shorten_for_warm_start

    whole = recipe(epochs=10, learning_rate=0.004).model_copy(update={"start_epochs": None})
    further = shorten_for_warm_start(whole, 5_500, shown, 1_000)
    assert further.epochs == epochs
    assert epochs * (shown + 1_000 / 3) <= 0.2 * 10 * (5_500 + 1_000 / 3)
    assert further.learning_rate == pytest.approx(0.001)


def test_the_epochs_that_are_asked_for_are_those_of_going_on():
    from tasks.training.trainer import shorten_for_warm_start

    assert shorten_for_warm_start(recipe(epochs=7), 5_500, 5_500, 1_000).epochs == 7


@pytest.mark.parametrize("wrong", ["loss", "val_loss"])
def test_a_training_that_diverges_says_what_to_try(wrong):
    from tasks.training.best_epoch import epoch_record

    good = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
    assert epoch_record(3, good).epoch == 3
    with pytest.raises(BadInput, match=r"the loss became .*nan.*: try a lower --training.learning_rate"):
        epoch_record(3, {**good, wrong: float("nan")})


def test_a_training_that_diverges_keeps_nothing_of_it(tmp_path):
    with pytest.raises(BadInput, match="the loss became nan"):
        fit_network(recipe(learning_rate=1.0).model_copy(update={"learning_rate": 1e30}), tmp_path)
    assert not list(tmp_path.glob("*.npz"))


@pytest.mark.usefixtures("imagenet_file")
def test_a_backbone_begins_with_the_cached_weights_and_the_seed_draws_its_head():
    from tasks.networks import imagenet
    from tasks.training.trainer import build_network

    stored = imagenet.pretrained().get_layer("top_conv").get_weights()[0]
    first, other = (build_network(recipe("backbone", seed=seed)) for seed in (1, 2))
    heads = [network.get_layer("logits").get_weights()[0] for network in (first, other)]
    assert not np.array_equal(*heads)
    for network in (first, other):  # equal seeds, equal weights: tests/networks/test_networks.py
        np.testing.assert_array_equal(network.get_layer("top_conv").get_weights()[0], stored)


@pytest.mark.usefixtures("keras_cache")
def test_a_backbone_continues_from_a_file_without_the_cached_weights(tmp_path):
    from tasks.networks import networks
    from tasks.training.trainer import build_network

    networks.save(stored := networks.build("backbone", 32, seed=7), tmp_path / "model.keras")
    continued = build_network(recipe("backbone"), tmp_path / "model.keras")
    assert networks.weights_digest(continued) == networks.weights_digest(stored)
    with pytest.raises(BadInput, match="ImageNet weights are not in Keras' cache"):
        build_network(recipe("backbone"))


@pytest.mark.long
@pytest.mark.usefixtures("imagenet_file")
def test_a_backbone_learns():
    history = fit_network(recipe("backbone", epochs=2, learning_rate=1e-3)).history
    assert history[1].loss < history[0].loss
