"""Loading: files become one array in their order, a stored content is decoded once, an unreadable file is reported or stops the work."""

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from tasks.images import decoding, loading
from tasks.images.decoding import MAX_BYTES, WHOLE
from tasks.images.levels import Least
from tasks.images.loading import (
    MAX_MEGAPIXELS,
    Readable,
    Unreadable,
    decode_content,
    load_all_bytes,
    load_file,
    load_files,
    load_inputs,
    load_squares,
    squares,
)
from tasks.images.rings import detail
from tasks.images.strips import strips
from tasks.images.views import SMALL_SIDE, shape
from tasks.records.rows import stored_path
from tasks.settings.errors import BadInput
from tasks.sources.synthetic.cameras import CAMERAS
from tasks.sources.synthetic.corruptions import encode
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph as take
from tasks.storage.result_cache import MAX_BLOCK


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Ten even pictures, the first the darkest."""
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((20, 30), 20 * number, np.uint8)).save(path)
    return paths


@pytest.fixture(scope="module")
def castings() -> list[bytes]:
    """Three photographs of one round part."""
    rng = np.random.default_rng(4)
    part = draw_casting(rng)
    return [encode(take(part, camera, rng).pixels, 90) for camera in CAMERAS[:3]]


@pytest.fixture
def decoded_as(monkeypatch) -> list[Least]:
    """Grows by one with each file that is decoded: as what."""
    known: list[Least] = []

    def note(content: bytes, suffix: str, max_megapixels: float, least: Least = WHOLE):
        known.append(least)
        return decode(content, suffix, max_megapixels, least)

    decode = loading.decode
    monkeypatch.setattr(loading, "decode", note)
    return known


def test_the_array_holds_the_files_in_their_order(files):
    array = load_squares(files, 16)
    assert array.shape == (10, 16, 16)
    assert array.dtype == np.uint8
    assert array.mean(axis=(1, 2)).tolist() == [20 * number for number in range(10)]


def test_no_files_give_an_empty_array(places):
    assert load_squares([], 16).shape == (0, 16, 16)
    for view in ("raw", "ring"):
        assert load_inputs([], view, 512, places).levels.shape == (0, *shape(view, 512))
    assert load_files([], "raw", 16) == []


def test_the_file_that_cannot_be_read_is_named(files):
    files[4].write_bytes(files[4].read_bytes()[:-20])
    with pytest.raises(BadInput, match=r"4\.png cannot be read: ValueError: the file breaks off"):
        load_squares(files, 16)
    files[4].unlink()
    with pytest.raises(BadInput, match=r"4\.png cannot be read: No such file"):
        load_squares(files, 16)


def test_sights_stand_in_the_order_of_the_rows(places, store_images, photograph):
    rows = store_images(*(photograph(seed, size=(300, 300)) for seed in range(5)))
    levels = load_inputs(rows, "raw", 40, places).levels
    assert (levels.shape, levels.dtype) == ((5, 40, 40, 1), np.uint8)
    assert len({one.tobytes() for one in levels}) == 5
    assert np.array_equal(load_inputs(rows[::-1], "raw", 40, places).levels, levels[::-1])


def test_squares_are_decoded_once_of_each_content_and_read_back_later(places, store_images, photograph, decoded_as):
    rows = store_images(*(photograph(seed, size=(300, 300)) for seed in range(4)))
    first = load_inputs([*rows, rows[0]], "raw", 75, places).levels
    assert len(decoded_as) == 4
    for row in rows:
        stored_path(row, places).unlink()  # whoever decoded again would stumble
    assert np.array_equal(load_inputs([rows[0], *rows], "raw", 75, places).levels, first[[4, 0, 1, 2, 3]])
    assert len(decoded_as) == 4


def test_a_block_of_kept_squares_ends_where_the_next_begins(places, store_images, photograph, monkeypatch):
    monkeypatch.setattr(loading, "MAX_BLOCK", 2)
    rows = store_images(*(photograph(seed, size=(300, 300)) for seed in range(5)))
    whole = load_squares([stored_path(row, places) for row in rows], 40, Least(40))
    for _ in range(2):  # made, then kept
        assert np.array_equal(squares(rows, 40, places), whole)
    assert np.array_equal(
        squares(rows, 160, places), load_squares([stored_path(row, places) for row in rows], 160, Least(160))
    )
    assert MAX_BLOCK > 2


def test_another_size_and_another_code_decode_again(places, store_images, photograph, decoded_as, monkeypatch):
    rows = store_images(*(photograph(seed, size=(300, 300)) for seed in range(2)))
    squares(rows, 75, places)
    squares(rows, 64, places)
    assert len(decoded_as) == 4
    monkeypatch.setattr(loading, "code_digest", lambda path: "another")
    squares(rows, 75, places)
    assert len(decoded_as) == 6


def test_what_would_save_no_time_is_not_kept(places, store_images, photograph, decoded_as):
    small = store_images(*(photograph(seed, size=(149, 149)) for seed in range(2)), side=149)
    first = squares(small, 75, places)
    assert np.array_equal(squares(small, 75, places), first)
    assert len(decoded_as) == 4
    large = store_images(photograph(2, size=(150, 150)), side=150)
    both = squares([small[0], *large, small[1]], 75, places)
    assert np.array_equal(both[[0, 2]], first)
    assert np.array_equal(squares(large, 75, places), both[[1]])
    assert len(decoded_as) == 7, "the large one once, although small ones lay beside it"


def test_a_picture_is_decoded_no_larger_than_its_square_needs(places, store_images, photograph, decoded_as):
    rows = store_images(photograph(1, size=(300, 300)))
    reduced = squares(rows, 75, places).astype(int)
    whole = squares(rows, 75, places, WHOLE).astype(int)
    assert decoded_as == [Least(75), WHOLE]
    assert np.abs(reduced - whole).max() <= 2, "averaged before the transform or after it"


def test_a_ring_has_the_detail_of_its_strip_and_an_image_without_one_has_nothing(
    places, store_images, castings, photograph
):
    rows = store_images(castings[0], photograph(3, size=(300, 300)), *castings[1:])
    found = load_inputs(rows, "ring", 512, places)
    kept = list(strips(rows, places))
    assert np.isnan(found.residuals).tolist() == [False, True, False, False]
    assert not found.levels[1].any()
    for number in (0, 2, 3):
        assert found.residuals[number] == kept[number].ring.residual < 0.02
        assert np.array_equal(found.levels[number], detail(kept[number].levels[None])[0])


def test_a_raw_view_has_no_residual_and_looks_for_no_ring(places, store_images, photograph):
    rows = store_images(photograph(3, size=(300, 300)))
    assert load_inputs(rows, "raw", 75, places).residuals.tolist() == [0.0]


def test_a_new_file_is_seen_as_a_stored_one(places, store_images, castings):
    rows = store_images(*castings)
    paths = [stored_path(row, places) for row in rows]
    for view, size in (("raw", 75), ("raw", 120), ("ring", 512)):
        known, seen = load_inputs(rows, view, size, places), load_files(paths, view, size)
        for number, one in enumerate(seen):
            assert isinstance(one, Readable)
            assert np.array_equal(one.network_input.levels, known.levels[number])
            assert np.array_equal(one.small_square, known.small_squares[number])
            assert one.network_input.residual == pytest.approx(known.residuals[number], rel=1e-5)


@pytest.fixture(scope="module")
def small_parts() -> list[bytes]:
    """Photographs in which one round part lies in a large empty picture, each at another place."""
    rng = np.random.default_rng(5)
    part, contents = draw_casting(rng), []
    for camera, (top, left) in zip(CAMERAS[:3], ((40, 300), (350, 20), (200, 420)), strict=True):
        pixels = rng.normal(15, 2, (800, 1_000)).clip(0, 255).astype(np.uint8)
        pixels[top : top + 300, left : left + 300] = take(part, camera, rng).pixels.clip(60)
        contents.append(encode(pixels, 90))
    return contents


@pytest.mark.parametrize("crop", ["part", "0.1,0.05,0.95,0.9"])
@pytest.mark.parametrize(("view", "size"), [("raw", 75), ("raw", 300), ("detail", (96, 128)), ("ring", 512)])
def test_a_new_file_is_cropped_as_a_stored_one(places, store_images, small_parts, crop, view, size):
    rows = [row._replace(width=1_000, height=800) for row in store_images(*small_parts)]
    known = load_inputs(rows, view, size, places, crop)
    again = load_inputs(rows, view, size, places, crop)  # from the cache
    files = load_files([stored_path(row, places) for row in rows], view, size, crop)
    contents = load_all_bytes(small_parts, view, size, crop)
    for number, (file, content) in enumerate(zip(files, contents, strict=True)):
        shown = [known.levels[number], again.levels[number]]
        shown += [one.network_input.levels if one.network_input else np.zeros_like(shown[0]) for one in (file, content)]
        assert len({hashlib.sha256(levels.tobytes()).hexdigest() for levels in shown}) == 1
        assert np.array_equal(file.small_square, known.small_squares[number])
        assert np.array_equal(content.small_square, known.small_squares[number])
        assert file.size == (1_000, 800), "of the photograph"


def test_each_crop_is_cached_by_itself(places, store_images, small_parts):
    rows = [row._replace(width=1_000, height=800) for row in store_images(*small_parts)]
    for view, size in (("raw", 75), ("ring", 512)):
        by_crop = [load_inputs(rows, view, size, places, crop) for crop in (None, "part", "0.1,0.05,0.95,0.9", None)]
        squares_of = [batch.small_squares.tobytes() for batch in by_crop]
        assert len(set(squares_of)) == 3
        assert squares_of[0] == squares_of[3]


def test_enough_of_a_picture_is_decoded_for_its_crop(places, store_images, small_parts, decoded_as):
    row = store_images(small_parts[0])[0]._replace(width=1_000, height=800)
    found = squares([row], 75, places, crop="0.32,0.04,0.6,0.44")[0].astype(int)
    assert decoded_as == [Least(268)]
    pixels = decoding.decode(small_parts[0], ".jpeg", float("inf")).pixels[32:352, 320:600]
    whole = np.asarray(Image.fromarray(pixels).resize((75, 75), Image.Resampling.BOX)).astype(int)
    assert np.median(np.abs(found - whole)) <= 2, "averaged before the transform or after it"


def test_a_glance_shows_the_whole_picture_whatever_the_network_sees(files, castings, tmp_path):
    path = tmp_path / "casting.jpeg"
    path.write_bytes(castings[0])
    whole = load_squares([path], SMALL_SIDE)[0].astype(int)
    for view, size in (("raw", 32), ("raw", 200), ("ring", 512)):
        one = load_file(path, view, size)
        assert (one.small_square.shape, one.small_square.dtype) == ((SMALL_SIDE, SMALL_SIDE), np.uint8)
        assert np.abs(one.small_square - whole).max() <= 2
    assert load_file(files[5], "ring", 512).network_input is None
    assert load_file(files[5], "ring", 512).small_square.mean() == 100


def test_one_that_cannot_be_read_does_not_stop_the_others(files):
    files[0].write_bytes(b"")
    files[1].unlink()
    files[1].mkdir()
    seen = load_files(files, "raw", 16)
    assert seen[:2] == [
        Unreadable(hashlib.sha256(b"").hexdigest(), "the file has no bytes"),
        Unreadable(None, "Is a directory"),
    ]
    assert seen[2].sha256 == hashlib.sha256(files[2].read_bytes()).hexdigest()
    assert levels_of(seen[2:]) == [20 * number for number in range(2, 10)]


def levels_of(seen: Sequence[Readable | Unreadable]) -> list[int]:
    return [int(one.network_input.levels.mean()) for one in seen if isinstance(one, Readable)]


def test_what_nobody_has_validated_is_capped_and_what_was_validated_is_not(files, monkeypatch):
    caps = []

    def note(content: bytes, suffix: str, max_megapixels: float, least: Least):
        caps.append(max_megapixels)
        return decode(content, suffix, max_megapixels, least)

    decode = loading.decode
    monkeypatch.setattr(loading, "decode", note)
    load_files(files[:1], "raw", 16)
    load_squares(files[:1], 16)
    assert caps == [MAX_MEGAPIXELS, float("inf")]
    monkeypatch.setattr(loading, "MAX_MEGAPIXELS", 0.0001)
    assert "megapixels" in load_file(files[0], "raw", 16).reason


def test_a_strip_is_unwrapped_from_the_whole_picture(places, store_images, castings, decoded_as, tmp_path):
    path = tmp_path / "casting.jpeg"
    path.write_bytes(castings[0])
    load_file(path, "ring", 512)
    assert decoded_as == [WHOLE], "a rim found in a smaller picture would lie elsewhere"


def test_a_file_that_is_too_large_is_told_and_not_read(files):
    files[0].touch()
    os.truncate(files[0], 2**40)
    first, second = load_files(files[:2], "raw", 16)
    assert first == Unreadable(None, f"the file has {2**40:,} bytes, at most {MAX_BYTES:,} are read: save it smaller")
    assert isinstance(second, Readable)
    with pytest.raises(BadInput, match="0.png cannot be read: the file has"):
        load_squares(files[:1], 16)


@pytest.mark.parametrize("error", [IndexError, MemoryError, RecursionError, SystemError, UserWarning])
def test_whatever_a_decoder_raises_stops_no_other_image(files, photograph, tmp_path, monkeypatch, error):
    path = tmp_path / "one.jpeg"
    path.write_bytes(photograph())
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: (_ for _ in ()).throw(error))
    first, second = load_files([path, files[3]], "raw", 16)
    assert isinstance(first, Unreadable)
    assert levels_of([second]) == [60]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 400), (400, 1), (3, 9_000)])
@pytest.mark.parametrize("view", ["raw", "ring"])
def test_a_picture_of_any_size_can_be_seen(photograph, size, view):
    file = io.BytesIO()
    Image.new("L", size, 90).save(file, "PNG")
    assert decode_content(file.getvalue(), ".png", view, 75).size == size


def test_images_that_are_sent_are_seen_as_files_are(files, photograph):
    png, jpeg = files[3].read_bytes(), photograph()
    seen = load_all_bytes([png, bytearray(jpeg), b"no picture", None, "text", 7.5, b"", memoryview(png)], "raw", 16)
    assert levels_of(seen[:1]) == levels_of(seen[7:]) == [60]
    assert isinstance(seen[1], Readable)
    assert [one.reason for one in seen[2:7]] == [
        "the content does not begin like a file of JPEG, PNG, BMP, TIFF or WebP",
        "NoneType was sent, expected the bytes of a file of JPEG, PNG, BMP, TIFF or WebP",
        "str was sent, expected the bytes of a file of JPEG, PNG, BMP, TIFF or WebP",
        "float was sent, expected the bytes of a file of JPEG, PNG, BMP, TIFF or WebP",
        "the file has no bytes",
    ]
    assert load_all_bytes([], "raw", 16) == []


def test_an_image_that_is_sent_and_too_large_is_not_hashed(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_BYTES", 10)
    assert load_all_bytes([bytes(11)], "raw", 16) == [
        Unreadable(None, "the file has 11 bytes, at most 10 are read: save it smaller")
    ]
