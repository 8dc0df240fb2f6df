"""Pixels: many files as one array, in their order; what cannot be read is told, or stops the work."""

import numpy as np
import pytest

from tasks.images.pixels import MAX_MEGAPIXELS, load, see, see_all
from tasks.runs.errors import BadInput


@pytest.fixture
def files(tmp_path):
    """Ten even pictures, the first the darkest."""
    from PIL import Image

    paths = [tmp_path / f"{number}.png" for number in range(10)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((20, 30), 20 * number, np.uint8)).save(path)
    return paths


def test_the_array_holds_the_files_in_their_order(files):
    array = load(files, "raw", 16)
    assert array.shape == (10, 16, 16, 1)
    assert array.dtype == np.uint8
    assert array.mean(axis=(1, 2, 3)).tolist() == [20 * number for number in range(10)]


def test_no_files_give_an_empty_array():
    assert load([], "raw", 16).shape == (0, 16, 16, 1)


def test_the_file_that_cannot_be_read_is_named(files):
    files[4].write_bytes(files[4].read_bytes()[:-20])
    with pytest.raises(BadInput, match=r"4\.png cannot be read: ValueError: the file breaks off"):
        load(files, "raw", 16)
    files[4].unlink()
    with pytest.raises(BadInput, match=r"4\.png cannot be read: No such file"):
        load(files, "raw", 16)


def test_one_that_cannot_be_read_does_not_stop_the_others(files):
    files[0].write_bytes(b"")
    files[1].unlink()
    files[1].mkdir()
    seen = see_all(files, "raw", 16)
    assert seen[:2] == ["the file has no bytes", "Is a directory"]
    assert [int(sight.mean()) for sight in seen[2:]] == [20 * number for number in range(2, 10)]


def test_what_nobody_has_validated_is_capped_and_what_was_validated_is_not(files, monkeypatch):
    caps = []

    def note(content: bytes, suffix: str, max_megapixels: float):
        caps.append(max_megapixels)
        return decode(content, suffix, max_megapixels)

    from tasks.images import pixels

    decode = pixels.decode
    monkeypatch.setattr(pixels, "decode", note)
    see_all(files[:1], "raw", 16)
    load(files[:1], "raw", 16)
    assert caps == [MAX_MEGAPIXELS, float("inf")]
    assert "megapixels" in see(files[0], "raw", 16, max_megapixels=0.0001)
