"""Warm-up: TensorFlow is started for the network that will likely train, and a failure is left to the training."""

from types import SimpleNamespace

import pytest

from tasks.records.rows import Row
from tasks.settings.settings import Places, TrainingSettings
from tasks.training import warm_up

ROWS = [f"row {number}" for number in range(100)]
MANIFEST = SimpleNamespace(table=SimpleNamespace(path=lambda places: "images.csv"))


@pytest.fixture
def rehearsed_recipes(monkeypatch):
    """The recipes of which a step was run, on a device that stands for a GPU."""
    from tasks.networks import devices
    from tasks.training import trainer

    found = []
    monkeypatch.setattr(devices, "gpu_devices", lambda: ["CPU:0"])
    monkeypatch.setattr(devices, "device_class", lambda: "bfloat16_gpu")
    monkeypatch.setattr(trainer, "run_warm_up_step", found.append)
    monkeypatch.setattr(warm_up, "read_table", lambda path, kind: ROWS)
    return found


@pytest.mark.parametrize(("strip", "model"), [("a strip", "ring"), (None, "patch")])
def test_a_gpu_runs_a_first_step_of_the_network_that_suits_a_few_of_the_images(
    strip, model, rehearsed_recipes, monkeypatch
):
    from tasks.images import strips

    looked_at: list[Row] = []
    monkeypatch.setattr(strips, "strips", lambda rows, places: (looked_at.extend(rows), [strip] * len(rows))[1])
    warm_up.warm_up(MANIFEST, TrainingSettings(), Places())
    (recipe,) = rehearsed_recipes
    assert (recipe.model, recipe.precision) == (model, "mixed_bfloat16")
    assert 20 <= len(looked_at) <= 40
    assert len(set(looked_at)) == len(looked_at)


def test_no_image_is_looked_at_where_the_network_is_named(rehearsed_recipes, monkeypatch):
    from tasks.images import strips

    monkeypatch.setattr(strips, "strips", None)
    warm_up.warm_up(MANIFEST, TrainingSettings(model="compact", batch_size=64), Places())
    assert [(recipe.model, recipe.batch_size) for recipe in rehearsed_recipes] == [("compact", 64)]


def test_processors_run_no_step_beforehand(rehearsed_recipes, monkeypatch):
    from tasks.networks import devices

    monkeypatch.setattr(devices, "gpu_devices", list)
    warm_up.warm_up(MANIFEST, TrainingSettings(), Places())
    assert rehearsed_recipes == []


def test_a_failure_is_left_to_the_training(rehearsed_recipes, monkeypatch):
    from tasks.networks import devices

    def refuse() -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(devices, "share_memory", refuse)
    warm_up.warm_up(MANIFEST, TrainingSettings(), Places())
    assert rehearsed_recipes == []
