"""Networks: the published ones match to the parameter, our own are small, and all can be stored, loaded and exported."""

import ast
import inspect
import random
import time
from functools import cache
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest

from tasks.images.views import shape
from tasks.networks import networks
from tasks.networks.ring import GREATEST
from tasks.settings.model_specs import MODEL_SPECS, ModelName

NAMES = get_args(ModelName)
ONE_OF_EACH = sorted({networks.BODIES[name]: name for name in reversed(NAMES)}.values())
"""A name for each network: some names share one, and train it otherwise."""
OWN = [name for name in NAMES if not name.startswith(("backbone", "tutorial"))]
SIDE = 48  # pixels; ring has its own size whatever is asked for


@cache
def new_network(name: str) -> keras.Model:
    """Is built once, for tests that leave it as it is."""
    return networks.build(name, SIDE, seed=3)


@cache
def build_network(name: str) -> keras.Model:
    """With statistics that differ from one channel to the next, as after training. For tests that leave it as it is."""
    network, rng = networks.build(name, SIDE, seed=3), np.random.default_rng(2)
    for weight in network.weights:
        if not weight.trainable:
            continue
        weight.assign(weight.numpy() + rng.normal(0, 0.02, weight.shape))
    return network


def pictures(name: str, count: int = 3) -> np.ndarray:
    return (
        np.random.default_rng(1)
        .integers(0, 256, (count, *shape(MODEL_SPECS[name].view, SIDE)), np.uint8)
        .astype(np.float32)
    )


@cache
def answer_by_layers(name: str) -> dict[str, np.ndarray]:
    """What the network says of the pictures when its layers are called one by one."""
    return {key: np.asarray(value) for key, value in build_network(name)(pictures(name), training=False).items()}


@pytest.mark.parametrize("name", ["tutorial", "tutorial_dropout"])
def test_the_tutorials_network_has_the_published_parameters(name):
    assert networks.build(name, 300).count_params() == 11_238_818


def test_the_tutorials_layers_are_the_published_ones():
    kinds = [type(layer).__name__ for layer in networks.build("tutorial_dropout", 300).layers]
    assert kinds == [
        "InputLayer", "Rescaling", "Concatenate", *["Conv2D", "MaxPooling2D"] * 3, "Dropout", "Flatten", "Dense", "Dense",
    ]  # fmt: skip
    filters = [
        layer.filters for layer in networks.build("tutorial", 300).layers if isinstance(layer, keras.layers.Conv2D)
    ]
    assert filters == [16, 32, 64]


@pytest.mark.parametrize("name", OWN)
def test_our_own_networks_are_small(name):
    assert networks.build(name, MODEL_SPECS[name].image_size).count_params() < 500_000


@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_logits_and_features(name):
    found = answer_by_layers(name)
    assert found["logits"].shape == (3, 2)
    assert found["logits"].dtype == np.float32
    assert len(found["features"].shape) == 2
    assert found["features"].shape[0] == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_network_takes_raw_levels_and_rescales_itself(name):
    network = new_network(name)
    assert any(isinstance(layer, keras.layers.Rescaling) for layer in network.layers)
    assert network.inputs[0].shape[1:] == pictures(name).shape[1:]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_network_answers_as_before_when_it_was_stored_and_loaded_in_safe_mode(name, tmp_path):
    network, images = build_network(name), pictures(name)
    networks.save(network, tmp_path / "model.keras")
    loaded = networks.load(tmp_path / "model.keras")
    answer = loaded(images, training=False)
    for key, expected in answer_by_layers(name).items():
        np.testing.assert_array_equal(np.asarray(answer[key]), expected)
    assert networks.weights_digest(loaded) == networks.weights_digest(network)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_compiled_graph_answers_as_the_layers_one_by_one(name):
    """TensorFlow rewrites graphs; an addition that it takes for the bias of a convolution fails only there."""
    compiled = build_network(name).predict_on_batch(pictures(name))
    for key, expected in answer_by_layers(name).items():
        np.testing.assert_allclose(compiled[key], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted({*ONE_OF_EACH} - {"ring", "tutorial_dropout"}))  # those: tests/test_export.py
def test_every_network_exports_and_answers_alike(name, tmp_path):
    import tensorflow as tf

    build_network(name).export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")  # its variables live as long as it does
    served = exported.serve(tf.constant(pictures(name)))
    for key, expected in answer_by_layers(name).items():
        np.testing.assert_allclose(served[key].numpy(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("columns", [8, 64, 256, 504])
def test_a_ring_that_is_turned_is_judged_alike_and_its_map_turns_with_it(columns):
    images, before = pictures("ring"), answer_by_layers("ring")
    turned = build_network("ring")(np.roll(images, columns, axis=2), training=False)
    after = {key: np.asarray(value) for key, value in turned.items()}
    width = images.shape[2] // before["map"].shape[2]
    np.testing.assert_allclose(np.roll(before["map"], columns // width, axis=2), after["map"], atol=1e-4, rtol=1e-4)
    for key in ("logits", "features"):
        np.testing.assert_allclose(before[key], after[key], atol=1e-4, rtol=1e-4)
    assert np.ptp(before["map"]) > 0.01, "or all places would be alike"


def test_a_place_of_the_map_lies_in_the_middle_of_what_its_filters_meet():
    """Of the 12 x 64 places each stands for 8 x 8 pixels, so that place (row, column) is at 8 row + 3.5, 8 column + 3.5."""
    import tensorflow as tf

    network, images = build_network("ring"), tf.constant(pictures("ring", 8))
    for place in ((5, 30), (6, 41)):
        with tf.GradientTape() as tape:
            tape.watch(images)
            local = network(images, training=False)["map"][:, place[0], place[1]]
        met = np.abs(tape.gradient(local, images).numpy()).sum(axis=(0, 3)) > 0
        for axis, number in enumerate(place):
            touched = np.flatnonzero(met.any(axis=1 - axis))
            assert (touched[0] + touched[-1]) / 2 == 8 * number + 3.5
            assert touched[-1] - touched[0] + 1 == 44


def test_the_logits_of_a_ring_are_the_mean_of_its_greatest_places():
    found = answer_by_layers("ring")
    places = found["map"].reshape(3, -1)
    margin = found["logits"][:, 1] - found["logits"][:, 0]
    assert np.sort(places)[:, -GREATEST:].mean(axis=1) == pytest.approx(margin, abs=1e-4)


def test_networks_are_made_of_nothing_but_keras():
    bodies = {inspect.getfile(getattr(networks.BODIES[name], "func", networks.BODIES[name])) for name in NAMES}
    folder = Path(networks.__file__).parent
    files = {networks.__file__, *bodies, *(str(folder / f"{name}.py") for name in ("blocks", "local_logits"))}
    trees = [ast.parse(Path(file).read_text(encoding="utf-8")) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    assert not any(name.split(".")[0] in ("tensorflow", "torch", "jax") for name in imported if name)
    for name in NAMES:
        kinds = {type(layer).__module__.split(".")[0] for layer in new_network(name).layers}
        assert kinds == {"keras"}
        assert not any(isinstance(layer, keras.layers.Lambda) for layer in new_network(name).layers)


def test_other_weights_have_another_digest():
    assert networks.weights_digest(networks.build("compact", SIDE)) != networks.weights_digest(new_network("compact"))


@pytest.mark.parametrize("kind", NAMES)
def test_equal_weights_give_an_equal_file(kind, tmp_path):
    other = networks.build(kind, SIDE, seed=3)
    networks.save(new_network(kind), tmp_path / "one.keras")
    time.sleep(1.1)  # Keras writes the second of saving into the file
    networks.save(other, tmp_path / "two.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.keras", "two.keras"]


@pytest.mark.parametrize("name", NAMES)
def test_new_weights_depend_on_the_seed_alone(name, monkeypatch):
    """Python's generator is shared by all threads: one draw by another thread, between two layers, would change the rest.

    Keras' own backbone draws from it as it is built, and each of its draws is replaced.
    """
    first = new_network(name)
    drawn = []

    def shared(*of: object) -> int:
        drawn.append(of)
        return len(drawn)

    monkeypatch.setattr(random, "randint", shared)
    again = networks.build(name, SIDE, seed=3)
    assert bool(drawn) == (name == "backbone"), "drawn from the generator that threads share"
    assert networks.weights_digest(again) == networks.weights_digest(first)
    assert [state.numpy().tolist() for state in states(again)] == [state.numpy().tolist() for state in states(first)]
    assert len(states(again)) == {"tutorial_dropout": 1, "backbone": 15}.get(name, 0)


def states(network: keras.Model) -> list:
    """What the random operations of a network go on from."""
    return [variable for variable in network.non_trainable_variables if "seed" in variable.path]


def test_what_lay_elsewhere_in_memory_is_written_alike():
    one, other = (
        b'[{"shared_object_id": %d}, {"shared_object_id": %d}, {"shared_object_id": %d}]' % numbers
        for numbers in ((140548, 997, 140548), (3, 140405, 3))
    )
    assert networks.number_shared_objects(one) == networks.number_shared_objects(other)
    assert (
        networks.number_shared_objects(one)
        == b'[{"shared_object_id": 0}, {"shared_object_id": 1}, {"shared_object_id": 0}]'
    )


def test_a_file_that_holds_code_is_not_loaded(tmp_path):
    picture = keras.Input((4, 4, 1))
    keras.Model(picture, keras.layers.Lambda(lambda x: x * 2)(picture)).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="unsafe|Lambda|arbitrary"):
        networks.load(tmp_path / "model.keras")


def test_the_summary_names_every_layer():
    text = networks.summary(new_network("compact"))
    assert "image (InputLayer)" in text
    assert "Total params" in text
