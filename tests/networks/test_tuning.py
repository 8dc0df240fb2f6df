"""Tuning: each class of devices has its way to train, and a setting takes precedence over it."""

from typing import get_args

import pytest

from tasks.networks import tuning
from tasks.networks.tuning import DeviceClass, class_of, tune_recipe, uses_xla
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import TrainingSettings

ALL = get_args(DeviceClass)
ABLE = "bfloat16_gpu"


@pytest.mark.parametrize(
    ("ability", "device", "precision"),
    [
        (None, "cpu", "float32"),
        ((0, 0), "gpu", "float32"),
        ((6, 1), "gpu", "float32"),
        ((7, 0), "float16_gpu", "mixed_float16"),
        ((7, 5), "float16_gpu", "mixed_float16"),
        ((8, 0), "bfloat16_gpu", "mixed_bfloat16"),
        ((9, 0), "bfloat16_gpu", "mixed_bfloat16"),
    ],
)
def test_precision_is_what_the_device_was_made_for(ability, device, precision):
    assert class_of(ability) == device
    assert tune_recipe(TrainingSettings(model="compact").recipe(), device).precision == precision


@pytest.mark.parametrize("device", ALL)
@pytest.mark.parametrize("model", get_args(ModelName))
def test_a_setting_goes_before_the_row_of_any_device(model, device):
    asked = {"batch_size": 8, "learning_rate": 0.5, "precision": "mixed_float16", "jit_compile": True}
    recipe = TrainingSettings(model=model, **asked).recipe()
    assert tune_recipe(recipe, device).model_dump().items() >= asked.items()
    assert uses_xla(recipe, device, gpus=2, steps=1)
    assert not uses_xla(recipe.model_copy(update={"jit_compile": False}), device, gpus=1, steps=10**6)


@pytest.mark.parametrize("device", ALL)
@pytest.mark.parametrize(
    ("model", "rate"),
    [("compact", 4e-3), ("ring", 2e-3), ("backbone", 2e-4), ("tutorial", 1e-3), ("tutorial_dropout", 1e-3)],
)
def test_every_network_trains_on_batches_of_32_at_its_own_rate(model, rate, device):
    found = tune_recipe(TrainingSettings(model=model).recipe(), device)
    assert (found.batch_size, found.learning_rate) == (32, rate)


def test_the_rate_grows_with_the_root_of_the_batch_but_for_the_tutorials_networks():
    assert tune_recipe(TrainingSettings(model="ring", batch_size=128).recipe(), "cpu").learning_rate == pytest.approx(
        4e-3
    )
    assert tune_recipe(TrainingSettings(model="tutorial", batch_size=128).recipe(), "cpu").learning_rate == 1e-3


def test_a_row_of_the_table_decides_what_is_left_open(monkeypatch):
    row = tuning.Tuning("float32", {"compact": 128}, {"compact": 10})
    monkeypatch.setitem(tuning.TABLE, "gpu", row)
    assert tune_recipe(TrainingSettings(model="compact").recipe(), "gpu").batch_size == 128
    assert tune_recipe(TrainingSettings(model="ring").recipe(), "gpu").batch_size == 32
    assert uses_xla(TrainingSettings(model="compact").recipe(), "gpu", gpus=1, steps=10)
    assert not uses_xla(TrainingSettings(model="compact").recipe(), "gpu", gpus=1, steps=9)
    assert not uses_xla(TrainingSettings(model="ring").recipe(), "gpu", gpus=1, steps=10**6)


@pytest.mark.parametrize("model", get_args(ModelName))
def test_processors_never_compile(model):
    assert not uses_xla(TrainingSettings(model=model).recipe(), "cpu", gpus=0, steps=10**6)


def test_xla_waits_for_enough_steps_and_for_one_gpu():
    recipe = TrainingSettings(model="ring").recipe()
    assert uses_xla(recipe, ABLE, gpus=1, steps=10_000)
    assert not uses_xla(recipe, ABLE, gpus=1, steps=1_000)
    assert not uses_xla(recipe, ABLE, gpus=2, steps=10_000)
    assert not uses_xla(TrainingSettings(model="ring", deterministic=True).recipe(), ABLE, gpus=1, steps=10_000)


def test_what_is_filled_in_once_stays():
    once = tune_recipe(TrainingSettings(model="ring", batch_size=64).recipe(), ABLE)
    assert tune_recipe(once, "cpu") == once
