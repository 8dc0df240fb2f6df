"""Export: the network decides in every format as it was judged, loaded in a clean process, and a difference is reported."""

import shutil
import subprocess

import keras
import numpy as np
import pytest
from conftest import copy_places

from tasks import export as verb
from tasks.export import export
from tasks.inference import export_check, model_folder, runtimes
from tasks.networks import networks
from tasks.storage.files import find_damage

pytestmark = pytest.mark.usefixtures("tensorflow", "process")


@pytest.fixture
def own_export(exported_training, places):
    """(what `export` is given, exports, places of the test's own)."""
    *records, made = exported_training
    copy_places(made, places)
    return *records, places


def test_the_folder_holds_every_format_and_all_that_prediction_needs(exported_training):
    (*_, model, _, _, _), exports, places = exported_training
    folder = model_folder.path(exports.digest, places)
    there = sorted(path.name for path in folder.iterdir())
    expected = ["README.md", "decision.json", "exports.json", "images.csv", "model.keras", "model.tflite", "savedmodel"]
    assert there == expected
    assert exports.damage(places) is None
    assert model_folder.read(folder) == exports
    assert model_folder.identity(folder) == exports.digest
    assert find_damage(folder / "model.keras", model.file.sha256) is None


def test_every_format_decides_all_validation_images_as_judged(exported_training):
    (_, _, splits, *_), exports, _ = exported_training
    assert set(exports.formats) == set(runtimes.NAMES)
    for one in exports.formats.values():
        assert one.images == splits.by_split["validation"] > 0
        assert one.changed_decisions == 0
        assert one.max_difference < 1e-5
        assert one.alike
        assert one.bytes > 10_000
        assert one.milliseconds > 0


def test_the_same_model_is_the_same_folder_and_a_damaged_one_is_put_right(own_export):
    judged, exports, places = own_export
    folder = model_folder.path(exports.digest, places)
    (folder / "model.tflite").write_bytes(b"")
    again = export.fn(*judged, places)
    assert again.digest == exports.digest, "what decides is made the same, byte for byte"
    assert again.damage(places) is None
    assert model_folder.read(folder) == again
    assert [path.name for path in (places.artifacts / "models").iterdir()] == [exports.digest]


def alter_network(network: keras.Model, fault: str) -> keras.Model:
    """The network with one weight changed, or as if grey levels went in that were rescaled already."""
    if fault == "one weight":
        kernel, bias = network.get_layer("logits").get_weights()
        network.get_layer("logits").set_weights([kernel, bias - [0, 30]])
        return network
    image = keras.Input(network.input_shape[1:], name="image")
    return keras.Model(image, network(image / 255))


def test_a_broken_export_is_told_and_the_network_of_the_folder_is_not(own_export, monkeypatch, capsys):
    """One format has one fault, and the other one another."""
    judged, _, places = own_export

    def write_broken(network, scratch):
        for format_, name, fault in (
            ("tf_saved_model", "savedmodel", "input scale"),
            ("litert", "litert", "one weight"),
        ):
            alter_network(network, fault).export(scratch / runtimes.NAMES[name], format=format_, verbose=False)

    with monkeypatch.context() as patched:
        patched.setattr(runtimes, "write", write_broken)
        broken = export.fn(*judged, places)
    for name in ("litert", "savedmodel"):
        assert broken.formats[name].changed_decisions > 0
        assert not broken.formats[name].alike
    assert broken.formats["keras"].alike
    assert "DOES NOT ANSWER AS JUDGED" in capsys.readouterr().out


def test_an_export_that_cannot_be_loaded_again_is_an_error_and_leaves_no_folder(own_export, monkeypatch):
    judged, exports, places = own_export
    written = model_folder.path(exports.digest, places).rename(places.artifacts / "written")

    def torn(network, scratch):
        shutil.copytree(written / "savedmodel", scratch / "savedmodel")
        (scratch / "model.tflite").write_bytes(b"half")

    monkeypatch.setattr(runtimes, "write", torn)
    with pytest.raises(RuntimeError, match="cannot be loaded again"):
        export.fn(*judged, places)
    assert list((places.artifacts / "models").iterdir()) == []


def test_when_copying_fails_no_folder_can_be_seen_and_no_process_is_left(own_export, monkeypatch):
    judged, exports, places = own_export
    shutil.rmtree(model_folder.path(exports.digest, places))
    begun, start = [], subprocess.Popen

    def full(*_):
        raise OSError(28, "No space left on device")

    def noted(*words, **options):
        begun.append(start(*words, **options))
        return begun[-1]

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(verb.shutil, "copyfile", full)
        patched.setattr(export_check.subprocess, "Popen", noted)
        export.fn(*judged, places)
    assert list((places.artifacts / "models").iterdir()) == []
    assert len(begun) == len(export_check.GROUPS)
    assert all(process.returncode is not None for process in begun)


def test_every_format_is_asked_once():
    assert [name for names in export_check.GROUPS for name in names] == list(runtimes.NAMES)


@pytest.mark.parametrize("name", ["ring", "tutorial_dropout"])  # of others, tests/networks/test_networks.py
def test_the_other_networks_can_be_exported_and_answer_alike(name, tmp_path):
    network = networks.build(name, 48)  # a ring has its own size
    levels = np.random.default_rng(0).integers(0, 256, (3, *network.input_shape[1:])).astype(np.uint8)
    runtimes.write(network, tmp_path)
    expected = network.predict_on_batch(levels)
    for format_ in ("litert", "savedmodel"):
        said = runtimes.load(tmp_path / runtimes.NAMES[format_]).predict_on_batch(levels)
        for output in expected:
            assert said[output] == pytest.approx(expected[output], abs=1e-4)
