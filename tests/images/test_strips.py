"""Strips and thumbnails: each content is unwrapped once, cached, and gives the same result on every way."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from tasks.images import loading
from tasks.images import strips as noun
from tasks.images.ellipses import Ellipse
from tasks.images.loading import THUMBNAIL, load_squares, thumbnails
from tasks.images.ring_search import find
from tasks.images.rings import STRIP_ANGLES, STRIP_RADII, Ring, unwrap
from tasks.images.strips import FEW, ImageViews, Strip, image_views, make_views, pack, strips, unpack
from tasks.images.views import SMALL_SIDE, square
from tasks.records.rows import images_root, stored_name, stored_path
from tasks.settings.errors import BadInput
from tasks.sources.synthetic.cameras import CAMERAS
from tasks.sources.synthetic.corruptions import encode
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph
from tasks.storage.result_cache import NAME


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Four photographs of one casting."""
    rng = np.random.default_rng(1)
    casting = draw_casting(rng)
    return [photograph(casting, camera, rng).pixels for camera in CAMERAS]


@pytest.fixture
def viewed_names(monkeypatch) -> list[str]:
    """The names of the images that were looked at in this process."""
    names: list[str] = []

    def note(root: str, name: str, crop: str | None = None) -> bytes:
        names.append(name)
        return make_views(root, name, crop)

    monkeypatch.setattr(noun, "make_views", note)
    return names


def jpegs(pictures: list[np.ndarray], number: int) -> list[bytes]:
    """As many contents, all different."""
    return [encode(np.roll(pictures[turn % 4], turn // 4, axis=1), 90) for turn in range(number)]


BLANK = np.zeros((SMALL_SIDE, SMALL_SIDE), np.uint8)


def test_views_survive_being_packed(pictures):
    ring = find(pictures[0])
    strip, small_square = Strip(ring, unwrap(pictures[0], ring)), square(pictures[0], SMALL_SIDE)
    views = unpack(pack(ImageViews(small_square, strip)))
    assert np.array_equal(views.small_square, small_square)
    assert np.array_equal(views.strip.levels, strip.levels)
    for one, other in zip(views.strip.ring[:2], ring[:2], strict=True):
        assert one.center == pytest.approx(other.center, rel=1e-6)
        assert one.root == pytest.approx(other.root, rel=1e-5)
    assert views.strip.ring.residual == pytest.approx(ring.residual, rel=1e-6)
    assert pack(views) == pack(ImageViews(small_square, strip))


def test_no_number_of_a_strip_takes_the_place_of_another():
    cavity, rim = (
        Ellipse(np.array([first, first + 1]), np.array([[first + 2, first + 3], [first + 4, first + 5]]))
        for first in (1.0, 7.0)
    )
    levels = np.arange(STRIP_RADII * STRIP_ANGLES).reshape(STRIP_RADII, STRIP_ANGLES).astype(np.uint8)
    back = unpack(pack(ImageViews(BLANK, Strip(Ring(cavity, rim, 0.5), levels)))).strip
    numbers = [*back.ring.cavity.center, *back.ring.cavity.root.ravel(), *back.ring.rim.center]
    assert [*numbers, *back.ring.rim.root.ravel(), back.ring.residual] == [*range(1, 13), 0.5]
    assert np.array_equal(back.levels, levels)


def test_nothing_stays_nothing():
    assert unpack(pack(ImageViews(BLANK, None))).strip is None


def test_a_glance_is_the_whole_picture_whether_it_shows_a_ring_or_not(places, store_images, pictures, photograph):
    rows = store_images(encode(pictures[0], 90), photograph(1))
    for views, row in zip(image_views(rows, places), rows, strict=True):
        assert np.array_equal(views.small_square, load_squares([stored_path(row, places)], SMALL_SIDE)[0])


def test_each_image_has_its_strip_in_order(places, store_images, pictures):
    rows = store_images(*(encode(picture, 90) for picture in pictures))
    found = list(strips(rows[::-1], places))[::-1]
    for strip, picture in zip(found, pictures, strict=True):
        ring = find(picture)
        assert strip.ring.rim.center == pytest.approx(ring.rim.center, abs=0.3)  # the JPEG has changed it a little
        assert np.corrcoef(strip.levels.ravel(), unwrap(picture, ring).ravel())[0, 1] > 0.99


def test_an_image_without_a_ring_has_no_strip(places, store_images, pictures, photograph):
    rows = store_images(photograph(1), encode(pictures[0], 90), encode(np.full((60, 60), 9, np.uint8), 90))
    first, second, third = strips(rows, places)
    assert first is None
    assert isinstance(second, Strip)
    assert third is None


def test_strips_are_found_once_of_each_content(places, store_images, pictures, viewed_names):
    rows = store_images(*jpegs(pictures, 5))
    first = list(strips([*rows, rows[0]], places))
    assert viewed_names == [stored_name(row) for row in rows]
    assert np.array_equal(first[0].levels, first[5].levels)
    for row in rows:
        stored_path(row, places).unlink()  # whoever looked again would stumble
    again = list(strips(rows, places))
    assert len(viewed_names) == 5
    assert [pack(ImageViews(BLANK, one)) for one in again] == [pack(ImageViews(BLANK, one)) for one in first[:5]]


def test_only_what_is_new_is_looked_at(places, store_images, pictures, viewed_names):
    *rows, new = store_images(*jpegs(pictures, 4))
    list(strips(rows, places))
    viewed_names.clear()
    list(strips([new, *rows], places))
    assert viewed_names == [stored_name(new)]


def test_that_there_is_no_ring_is_kept_too(places, store_images, photograph, viewed_names):
    rows = store_images(photograph(1))
    assert list(strips(rows, places)) == list(strips(rows, places)) == [None]
    assert len(viewed_names) == 1


def test_another_code_looks_again(places, store_images, pictures, viewed_names, monkeypatch):
    rows = store_images(*jpegs(pictures, 2))
    list(strips(rows, places))
    monkeypatch.setattr(noun, "code_digest", lambda path: "another")
    list(strips(rows, places))
    assert len(viewed_names) == 4


def test_no_image_has_no_strip_and_leaves_no_file(places):
    assert list(strips([], places)) == []
    assert not (places.data / NAME).exists()


def test_nobody_who_stops_early_is_kept_waiting(places, store_images, pictures):
    found = strips(store_images(*jpegs(pictures, 3)), places)
    assert next(found) is not None
    found.close()


@pytest.mark.usefixtures("process")
def test_other_processes_find_the_same_bytes(places, store_images, pictures, photograph, monkeypatch):
    rows = store_images(*jpegs(pictures, FEW), photograph(1))
    with monkeypatch.context() as patched:
        patched.setattr(noun, "count_processors", lambda: 2)
        patched.setattr(noun.ring_search, "find", None)  # in this process alone
        found = [pack(views) for views in image_views(rows, places)]
    assert found == [make_views(images_root(places), stored_name(row)) for row in rows]
    assert len(found[-1]) == SMALL_SIDE**2


def test_with_one_processor_no_process_is_started(places, store_images, pictures, viewed_names, monkeypatch):
    rows = store_images(*jpegs(pictures, 4))
    monkeypatch.setattr(noun, "FEW", 1)
    monkeypatch.setattr(noun, "count_processors", lambda: 1)
    list(strips(rows, places))
    assert len(viewed_names) == 4


def test_a_thumbnail_is_the_whole_image_averaged(places, store_images):
    board = np.kron(np.random.default_rng(0).integers(40, 215, (8, 8)), np.ones((32, 48))).astype(np.uint8)
    (found,) = thumbnails(store_images(encode(board, 95)), places)
    assert (found.shape, found.dtype) == ((THUMBNAIL, THUMBNAIL), np.uint8)
    middles = found.reshape(8, 16, 8, 16)[:, 4:12, :, 4:12].mean(axis=(1, 3))
    assert middles == pytest.approx(board[16::32, 24::48].astype(float), abs=3)


def test_thumbnails_are_made_once_and_stand_in_order(places, store_images, pictures, monkeypatch):
    rows = store_images(*jpegs(pictures, 4))
    found = thumbnails(rows, places)
    calls = []
    monkeypatch.setattr(loading, "load_squares", lambda *viewed_names: calls.append(viewed_names))
    assert np.array_equal(thumbnails([*rows[::-1], rows[2]], places), found[[3, 2, 1, 0, 2]])
    assert calls == []
    assert len({one.tobytes() for one in found}) == 4


def test_no_image_has_no_thumbnail(places):
    assert thumbnails([], places).shape == (0, THUMBNAIL, THUMBNAIL)


WORKER = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from tasks.images.strips import leave_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=leave_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""


def test_no_worker_outlives_a_run_that_was_killed(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(WORKER)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, script], env={"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        assert run.stdout
        worker = int(run.stdout.readline())
        os.kill(worker, 0)
        run.kill()
    assert has_ended(worker, within=10)


def has_ended(process: int, within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        status = Path(f"/proc/{process}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_that_an_image_cannot_be_read_is_not_kept_as_no_ring(places, store_images, pictures, monkeypatch):
    rows = store_images(encode(pictures[0], 90))
    with (
        monkeypatch.context() as patched,
        pytest.raises(BadInput, match="cannot be read: there is too little free memory"),
    ):
        patched.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
        list(strips(rows, places))
    assert isinstance(next(strips(rows, places)), Strip)


def test_a_ring_lies_in_the_whole_photograph_wherever_it_was_looked_for(places, store_images, pictures):
    large = np.full((500, 700), 40, np.uint8)
    large[150:450, 350:650] = pictures[0]
    content = encode(large, 95)
    (near,) = strips(store_images(encode(pictures[0], 95)), places)
    (far,) = strips(store_images(content), places, "0.5,0.3,0.93,0.9")
    assert far.ring.rim.center == pytest.approx(near.ring.rim.center + (350, 150), abs=0.5)
    assert far.ring.cavity.size() == pytest.approx(near.ring.cavity.size(), rel=0.01)
    assert np.abs(far.levels.astype(int) - near.levels).mean() < 3
