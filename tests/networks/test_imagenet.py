"""ImageNet: the weights come from Keras' cache, go into the backbone's layers alone, and their lack is one clear line."""

import keras
import numpy as np
import pytest

from tasks.networks import imagenet, networks
from tasks.networks.imagenet import cached_file
from tasks.settings.errors import BadInput

HEAD = "logits"


def weights_of(network: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in network.layers if layer.weights}


@pytest.mark.usefixtures("imagenet_file")
def test_the_cached_weights_go_into_every_layer_but_the_head():
    network = networks.build("backbone", 48, seed=3)
    before = weights_of(network)
    imagenet.copy_weights(network)
    after, stored = weights_of(network), weights_of(imagenet.pretrained())
    assert set(after) == {*stored, HEAD}
    for name, arrays in stored.items():
        for array, expected in zip(after[name], arrays, strict=True):
            np.testing.assert_array_equal(array, expected)
    np.testing.assert_array_equal(after[HEAD][0], before[HEAD][0])
    assert not np.array_equal(after["top_conv"][0], before["top_conv"][0])


def test_without_a_file_and_a_network_one_line_says_where_to_put_the_file(keras_cache):
    with pytest.raises(BadInput) as caught:
        imagenet.pretrained()
    (line,) = str(caught.value).splitlines()
    assert "not in Keras' cache, and Keras could not download them (URL fetch failure" in line
    assert f"put the file at {keras_cache / 'models/efficientnetv2-b0_notop.h5'}, or take --model patch" in line


def test_a_damaged_file_is_not_used(imagenet_file):
    imagenet_file.write_bytes(imagenet_file.read_bytes()[:-1])
    with pytest.raises(BadInput, match="could not download them"):
        imagenet.pretrained()


def test_the_place_in_the_message_is_the_one_that_keras_reads(imagenet_file):
    assert cached_file() == imagenet_file


def test_without_a_variable_the_cache_is_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cached_file() == tmp_path / ".keras/models/efficientnetv2-b0_notop.h5"
