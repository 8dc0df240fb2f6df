"""Devices: the class of the least able GPU, a reason where there is none, and equal arithmetic on two devices."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.settings.errors import BadInput

ROOT = Path(__file__).parents[2]


class Gpus:
    """GPUs as TensorFlow tells them, by compute capability."""

    def __init__(self, monkeypatch, *abilities: tuple[int, int]):
        import tensorflow as tf

        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(abilities))
        monkeypatch.setattr(
            tf.config.experimental,
            "get_device_details",
            lambda gpu: {"compute_capability": gpu, "device_name": f"GPU {gpu[0]}.{gpu[1]}"},
        )


def test_the_least_able_of_several_gpus_decides(monkeypatch):
    from tasks.networks import devices

    Gpus(monkeypatch, (9, 0), (7, 5))
    assert devices.device_class() == "float16_gpu"
    assert devices.device() == "GPU 9.0, GPU 7.5"
    devices.require_gpu()


def test_without_a_gpu_it_is_said_what_to_do(monkeypatch):
    from tasks.networks import devices, gpu_diagnosis

    Gpus(monkeypatch)
    assert devices.device_class() == "cpu"
    assert devices.device() == "CPU"
    monkeypatch.setattr(gpu_diagnosis, "why_no_gpu", lambda: "no driver: install it")
    with pytest.raises(
        BadInput,
        match="sees no GPU, and --require-gpu asks for one: no driver: install it; or leave --require-gpu out$",
    ):
        devices.require_gpu()


def test_memory_grows_with_need_on_every_gpu(monkeypatch):
    import tensorflow as tf

    from tasks.networks import devices

    Gpus(monkeypatch, (9, 0), (8, 0))
    told = []
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, grows: told.append((gpu, grows)))
    devices.share_memory()
    assert told == [((9, 0), True), ((8, 0), True)]


def test_a_process_that_uses_its_gpu_already_goes_on(monkeypatch):
    import tensorflow as tf

    from tasks.networks import devices

    def refuse(gpu, grows):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    Gpus(monkeypatch, (9, 0))
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    devices.share_memory()


TWO = """
import sys
import tensorflow as tf
if sys.argv[1] == "two":
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
import numpy as np
from tasks.training.input_pipeline import Examples
from tasks.networks import devices
from tasks.training import trainer
from tasks.settings.settings import TrainingSettings
if sys.argv[1] == "two":
    devices.gpu_devices = lambda: ["CPU:0", "CPU:1"]
assert devices.strategy().num_replicas_in_sync == (2 if sys.argv[1] == "two" else 1)
generator = np.random.default_rng(0)
def examples(count):
    labels = np.arange(count, dtype=np.int32) % 2
    pixels = generator.integers(0, 100, (count, 32, 32, 1)).astype(np.uint8) + 100 * labels[:, None, None, None]
    return Examples(pixels.astype(np.uint8), labels, np.zeros(count, np.int32))
from tasks.networks.tuning import tune_recipe
recipe = TrainingSettings(model="tutorial", epochs=3, batch_size=8).recipe().model_copy(update={"image_size": 32})
recipe = tune_recipe(recipe, "cpu")
fitted = trainer.fit(examples(24), examples(10), recipe, lambda history: None)
np.savez(sys.argv[2], *fitted.network.get_weights(), losses=[epoch.loss for epoch in fitted.history])
"""


def test_two_devices_that_share_each_batch_learn_what_one_does(tmp_path):
    """With a network without batch normalisation, whose averages each device takes over its own part of a batch."""
    for name in ("one", "two"):
        command = [sys.executable, "-c", TWO, name, str(tmp_path / f"{name}.npz")]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    one, two = (np.load(tmp_path / f"{name}.npz") for name in ("one", "two"))
    assert one["losses"][2] < 0.9 * one["losses"][0], "it has learnt"
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], atol=1e-5)
