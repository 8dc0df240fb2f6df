"""Networks: the published ones to the parameter, the small one small, all of them safe to store and load."""

import time

import keras
import numpy as np
import pytest

from tasks.models import networks

pytestmark = pytest.mark.slow


@pytest.fixture
def compact():
    keras.utils.set_random_seed(3)
    return networks.build("compact", 48)


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


def test_compact_is_small():
    assert networks.build("compact", 75).count_params() < 500_000


def test_one_network_gives_logits_and_features(compact):
    found = compact(np.zeros((2, 48, 48, 1), np.float32))
    assert found["logits"].shape == (2, 2)
    assert found["features"].shape == (2, 256)


def test_a_network_takes_raw_grey_levels_and_rescales_itself(compact):
    assert any(
        isinstance(layer, keras.layers.Rescaling) and layer.scale == pytest.approx(1 / 255) for layer in compact.layers
    )


def test_probabilities_do_not_depend_on_how_many_images_are_judged_at_once(compact):
    images = np.random.default_rng(0).integers(0, 255, (7, 48, 48, 1), dtype=np.uint8)
    at_once = networks.defect_probabilities(compact, images)
    one_by_one = np.concatenate(
        [networks.defect_probabilities(compact, images[index : index + 1]) for index in range(7)]
    )
    np.testing.assert_allclose(at_once, one_by_one, atol=1e-6)
    np.testing.assert_allclose(at_once, networks.defect_probabilities(compact, images, batch_size=2), atol=1e-6)
    logits = np.asarray(compact(images)["logits"], np.float64)
    np.testing.assert_allclose(at_once, keras.ops.softmax(logits)[:, 1], atol=1e-6)


def test_a_stored_network_answers_as_before_and_its_weights_have_one_digest(compact, tmp_path):
    images = np.random.default_rng(1).integers(0, 255, (5, 48, 48, 1), dtype=np.uint8)
    networks.save(compact, tmp_path / "model.keras")
    loaded = networks.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        networks.defect_probabilities(loaded, images), networks.defect_probabilities(compact, images)
    )
    assert networks.weights_digest(loaded) == networks.weights_digest(compact)
    assert networks.weights_digest(networks.build("compact", 48)) != networks.weights_digest(compact)


@pytest.mark.parametrize("kind", ["compact", "tutorial_dropout"])
def test_equal_weights_give_an_equal_file(kind, tmp_path):
    for name in ("one.keras", "two.keras"):
        keras.utils.set_random_seed(3)
        networks.save(networks.build(kind, 48), tmp_path / name)
        time.sleep(1.1)  # Keras writes the second of saving into the file
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.keras", "two.keras"]


def test_a_file_that_holds_code_is_not_loaded(tmp_path):
    picture = keras.Input((4, 4, 1))
    keras.Model(picture, keras.layers.Lambda(lambda x: x * 2)(picture)).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="unsafe|Lambda|arbitrary"):
        networks.load(tmp_path / "model.keras")


def test_the_summary_names_every_layer(compact):
    text = networks.summary(compact)
    assert "image (InputLayer)" in text
    assert "Total params" in text
