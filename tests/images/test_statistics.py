"""Statistics: each number of a picture follows its definition, on every machine and beside any other files."""

import hashlib
import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.images import statistics
from tasks.images.decoding import EXIF_ORIENTATION, NAMES
from tasks.images.statistics import ImageStats, measure, measure_files
from tasks.records.rows import Entry, images_root, stored_name, stored_path
from tasks.settings.errors import BadInput


def views(*sizes: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, size, np.uint8) for size in sizes]


def view_by_definition(view: np.ndarray) -> list[float]:
    """The numbers as the words say them, in floating point and one pixel after the other."""
    levels = view.astype(float)
    height, width = view.shape
    edge_y, edge_x = int(np.ceil(height / 10)), int(np.ceil(width / 10))
    border = [
        levels[y, x]
        for y in range(height)
        for x in range(width)
        if min(y, height - 1 - y) < edge_y or min(x, width - 1 - x) < edge_x
    ]
    changes = [
        levels[y - 1, x] + levels[y + 1, x] + levels[y, x - 1] + levels[y, x + 1] - 4 * levels[y, x]
        for y in range(1, height - 1)
        for x in range(1, width - 1)
    ]
    sharpness = float(np.sqrt(np.mean(np.square(changes)))) if changes else 0.0
    return [float(levels.mean()), float(levels.std()), float(np.mean(border)), sharpness]


@pytest.mark.parametrize("size", [(75, 75), (128, 96), (30, 11), (8, 8), (3, 5), (2, 2), (1, 1), (1, 40), (40, 1)])
def test_the_numbers_are_what_they_are_called(size):
    (view,) = views(size)
    assert measure([view])[0] == pytest.approx(view_by_definition(view), abs=0.0006)  # rounded to thousandths


def test_a_picture_of_one_level_deviates_by_nothing_and_has_no_edge():
    assert measure([np.full((75, 75), 137, np.uint8)]) == [[137.0, 0.0, 137.0, 0.0]]


def test_the_brightest_and_the_wildest_picture_can_be_measured():
    board = (np.indices((76, 76)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert measure([np.full((2_000, 2_000), 255, np.uint8), board]) == [
        [255.0, 0.0, 255.0, 0.0],
        [127.5, 127.5, 127.5, 1_020.0],
    ]


@given(
    st.lists(st.sampled_from([(75, 75), (9, 12), (12, 9)]), max_size=8),
    st.sampled_from([1, 300, 12_000, 10**9]),
)
def test_in_whatever_company_a_picture_is_measured_its_numbers_are_its_own(sizes, at_once):
    pictures = views(*sizes)
    alone = [measure([view])[0] for view in pictures]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(statistics, "MEASURED_AT_ONCE", at_once)
        assert measure(pictures) == alone


@pytest.fixture
def store_contents(places):
    """Puts contents on the shelf and gives their names there."""

    def put(*contents: bytes, suffix: str = ".jpeg") -> list[str]:
        names = []
        for content in contents:
            entry = Entry(f"ok_front/1{suffix}", hashlib.sha256(content).hexdigest())
            stored_path(entry, places).parent.mkdir(parents=True, exist_ok=True)
            stored_path(entry, places).write_bytes(content)
            names.append(stored_name(entry))
        return names

    return put


def test_a_look_gives_sizes_and_numbers_of_images_and_reasons_of_others(places, photograph, store_contents):
    contents = [photograph(size=(60, 48)), b"no image", photograph(1, size=(300, 300), mode="RGB")]
    first, bad, second = measure_files(store_contents(*contents), 40, places)
    assert (first.code, first.width, first.height, first.orientation) == ("", 60, 48, 1)
    assert (second.width, second.height) == (300, 300)
    assert bad == ImageStats("signature", f"the content does not begin like a file of {NAMES}")
    view = np.asarray(Image.open(io.BytesIO(contents[0])).reduce(4))
    assert first[-4:] == pytest.approx(view_by_definition(view), abs=0.5)
    assert second.brightness == pytest.approx(
        np.asarray(Image.open(io.BytesIO(contents[2])).convert("L")).mean(), abs=0.5
    )


def test_a_file_that_was_harmed_after_it_was_stored_is_not_refused_for_ever(places, photograph, store_contents):
    names = store_contents(photograph(), photograph(1))
    (places.data / "images" / names[1]).write_bytes(photograph(1)[:-2])
    with pytest.raises(BadInput, match="has changed since it was stored: start again, and it is stored anew"):
        list(measure_files(names, 40, places))
    (places.data / "images" / names[1]).write_bytes(photograph(1))
    assert [look.code for look in measure_files(names, 40, places)] == ["", ""]


def test_many_files_are_looked_at_in_order(places, photograph, store_contents):
    contents = [photograph(number, size=(32 + number, 32)) for number in range(80)]
    assert [look.width for look in measure_files(store_contents(*contents), 40, places)] == [
        32 + number for number in range(80)
    ]


def test_what_was_seen_is_not_read_again(places, photograph, store_contents):
    names = store_contents(photograph())
    first = list(measure_files(names, 40, places))
    (places.data / "images" / names[0]).unlink()
    assert list(measure_files(names, 40, places)) == first
    with pytest.raises(FileNotFoundError):
        list(measure_files(names, 41, places))


def test_another_code_looks_again(places, photograph, store_contents, monkeypatch):
    names = store_contents(photograph())
    list(measure_files(names, 40, places))
    (places.data / "images" / names[0]).unlink()
    monkeypatch.setattr(statistics, "code_digest", lambda path: "another")
    with pytest.raises(FileNotFoundError):
        list(measure_files(names, 40, places))


def test_a_content_is_read_under_any_suffix_that_is_read(places, photograph, store_contents):
    content = photograph(form="PNG")
    names = store_contents(content) + store_contents(content, suffix=".png") + store_contents(content, suffix=".PNG")
    first, *others = measure_files(names, 40, places)
    assert first.code == ""
    assert others == [first, first]


def test_the_orientation_of_a_picture_is_kept(places, photograph, store_contents):
    picture = Image.open(io.BytesIO(photograph()))
    exif, file = picture.getexif(), io.BytesIO()
    exif[EXIF_ORIENTATION] = 8
    picture.save(file, format="JPEG", exif=exif)
    assert [look.orientation for look in measure_files(store_contents(file.getvalue()), 40, places)] == [8]


def test_a_refusal_for_want_of_memory_is_not_kept(places, photograph, store_contents, monkeypatch):
    names = store_contents(photograph(), photograph(1))
    with monkeypatch.context() as patched:
        patched.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
        assert [look.code for look in measure_files(names, 40, places)] == ["memory", "memory"]
    assert [look.code for look in measure_files(names, 40, places)] == ["", ""]


def test_large_files_are_in_memory_one_at_a_time(places, photograph, store_contents, monkeypatch):
    names = store_contents(photograph(), *(photograph(seed) + bytes(70_000 + seed) for seed in range(3)))
    read, decode, steps = statistics.read, statistics.decode, []
    monkeypatch.setattr(statistics, "read", lambda path: steps.append("read") or read(path))
    monkeypatch.setattr(statistics, "decode", lambda *asked: steps.append("decode") or decode(*asked))
    statistics.open_images([f"{images_root(places)}/{name}" for name in names], 40)
    assert steps == ["read"] * 4 + ["decode"] + ["read", "decode"] * 3
