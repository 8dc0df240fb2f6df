"""Rings: cavity and rim are found where they were drawn, and nothing is found where there is no ring."""

import math
import random
from collections.abc import Callable
from io import BytesIO
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tasks.images.ellipses import Ellipse, circle
from tasks.images.ring_search import find
from tasks.images.rings import (
    FROM,
    STRIP_ANGLES,
    STRIP_RADII,
    TO,
    Ring,
    detail,
    from_strip,
    outside_picture,
    sample,
    to_strip,
    unwrap,
)
from tasks.settings.settings import AuditSettings
from tasks.sources.synthetic.cameras import CAMERAS, NEW_CAMERA
from tasks.sources.synthetic.defects import KINDS, Defect, spoil
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph, rotation

LIMIT = AuditSettings().max_ring_residual
SIDE = 300
Levels = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Grey levels at radii (1 at the rim) and angles of the part."""


def camera(lean: float, axis: float = 1.0, spin: float = 0.0, middle: tuple[float, float] = (150, 150)) -> np.ndarray:
    """float64 (3, 3): homogeneous points of the part, radius 1, to pixels of a pinhole camera that leans by degrees."""
    pose = rotation(0, 1, axis) @ rotation(1, 2, math.radians(lean)) @ rotation(0, 1, spin - axis)
    distance, radius = 5.0, 118.0  # in radii of the part; in pixels
    pose[:, 2] = [0, 0, distance]
    return np.array([[radius * distance, 0, middle[0]], [0, radius * distance, middle[1]], [0, 0, 1]]) @ pose


def project_circle(view: np.ndarray, radius: float) -> Ellipse:
    """The circle about the middle of the part, as the camera sees it: the conic of a circle under a homography."""
    back = np.linalg.inv(view)
    conic = back.T @ np.diag([1, 1, -(radius**2)]) @ back
    form = conic[:2, :2]
    center = -np.linalg.solve(form, conic[:2, 2])
    lengths, axes = np.linalg.eigh(form / (center @ form @ center - conic[2, 2]))
    return Ellipse(center, (axes / np.sqrt(lengths)) @ axes.T)


def picture(view: np.ndarray, levels: Levels, side: int = SIDE, noise: float = 2.0, fine: int = 3) -> np.ndarray:
    """uint8 (side, side): nine samples a pixel, and the noise of a chip."""
    places = (np.arange(side * fine) + 0.5) / fine - 0.5
    across, down = np.meshgrid(places, places)
    x, y, scale = np.linalg.inv(view) @ np.stack([across.ravel(), down.ravel(), np.ones(across.size)])
    grey = levels(np.hypot(x / scale, y / scale), np.arctan2(y, x)).reshape(side, fine, side, fine).mean(axis=(1, 3))
    grey += np.random.default_rng(0).normal(0, noise, grey.shape)
    return (grey + 0.5).clip(0, 255).astype(np.uint8)


def plain_levels(table: int, cavity: float = 0.58, hub: float = 0.3) -> Levels:
    return lambda radius, turn: np.select([radius < hub, radius < cavity, radius < 1], [190.0, 15, 190], table)


def mottled_levels(seed: int) -> Levels:
    """Metal with spots of its own."""
    spots = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(40, 256)), 1.1, mode=("nearest", "wrap"))
    spots = np.pad(spots * 35 / spots.std(), ((0, 0), (0, 1)), mode="wrap")

    def levels(radius: np.ndarray, turn: np.ndarray) -> np.ndarray:
        places = [((radius - 0.5) * 70).clip(0, 39), turn / (2 * np.pi) % 1 * 256]
        metal = 150 + ndimage.map_coordinates(spots, places, order=1)
        return np.select([radius < 0.25, radius < 0.58, radius < 1], [190, 15, metal], 110).clip(0, 255)

    return levels


def edge_distance(one: Ellipse, other: Ellipse) -> float:
    """How far the edges lie from each other at most, in pixels."""
    off = one.points(90) - other.center[:, None]
    return float(np.abs(np.linalg.norm(off, axis=0) * (1 - other.reach(off, other.center))).max())


@pytest.mark.parametrize("hub", [0.3, 0.0], ids=["hub", "no hub"])
@pytest.mark.parametrize("table", [8, 40, 90, 150, 245])
@pytest.mark.parametrize("lean", [0, 15, 35])
def test_cavity_and_rim_are_found_where_they_were_drawn(lean, table, hub):
    view = camera(lean, axis=lean + table, middle=(146, 155))
    ring = find(picture(view, plain_levels(table, hub=hub)))
    assert edge_distance(ring.cavity, project_circle(view, 0.58)) < 0.5
    assert edge_distance(ring.rim, project_circle(view, 1)) < 0.5
    assert ring.residual < 0.001


@pytest.mark.parametrize("cavity", [0.45, 0.5, 0.65, 0.7])
def test_a_ring_may_be_wide_or_narrow(cavity):
    view = camera(20)
    ring = find(picture(view, plain_levels(150, cavity)))
    assert edge_distance(ring.cavity, project_circle(view, cavity)) < 0.5
    assert edge_distance(ring.rim, project_circle(view, 1)) < 0.5


@pytest.mark.parametrize("side", [120, 301, 600])
def test_a_picture_may_be_of_any_size(side):
    scale = np.diag([side / SIDE, side / SIDE, 1])
    view = scale @ camera(20)
    ring = find(picture(view, plain_levels(150), side))
    assert edge_distance(ring.cavity, project_circle(view, 0.58)) < 0.5
    assert edge_distance(ring.rim, project_circle(view, 1)) < 0.5


def test_a_picture_need_not_be_square():
    view = camera(20)
    square = picture(view, plain_levels(150))
    wide = np.pad(square, ((0, 0), (40, 60)), mode="edge")
    ring = find(wide)
    assert (
        edge_distance(ring.rim, project_circle(view, 1)._replace(center=project_circle(view, 1).center + [40, 0])) < 0.5
    )


def test_flash_at_the_rim_moves_the_ring_little():
    view = camera(20)

    def levels(radius: np.ndarray, turn: np.ndarray) -> np.ndarray:
        return np.where((radius >= 1) & (radius < 1.08) & (np.abs(turn) < 0.4), 190, plain_levels(90)(radius, turn))

    ring = find(picture(view, levels))
    assert edge_distance(ring.rim, project_circle(view, 1)) < 1
    assert ring.residual < LIMIT


@pytest.mark.parametrize("camera", [*CAMERAS, NEW_CAMERA], ids=lambda camera: camera.name)
def test_the_ring_of_a_drawn_casting_is_found_by_every_camera(camera):
    for seed in range(6):
        rng = np.random.default_rng([seed, 7])
        casting = spoil(draw_casting(rng), Defect(KINDS[seed], "medium"), rng)
        ring = find(photograph(casting, camera, rng).pixels)
        assert ring.residual < LIMIT
        outline = casting.outline.cavity
        assert ring.cavity.size() / ring.rim.size() == pytest.approx(outline, abs=0.03)


@pytest.mark.parametrize("seed", range(8))
def test_noise_is_no_ring(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE), np.uint8)
    assert is_none(noise)
    smooth = ndimage.zoom(noise[:20, :20].astype(float), SIDE / 20, order=1)
    assert is_none(smooth.astype(np.uint8))


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_an_even_picture_is_no_ring(level):
    assert find(np.full((SIDE, SIDE), level, np.uint8)) is None


@pytest.mark.parametrize("width", [1, 4, 20, 75, 150])
def test_stripes_and_a_slope_are_no_ring(width):
    stripes = np.tile((np.arange(SIDE) // width % 2 * 200).astype(np.uint8), (SIDE, 1))
    assert is_none(stripes)
    assert is_none(stripes.T.copy())
    assert is_none(np.tile(np.linspace(0, 255, SIDE).astype(np.uint8), (SIDE, 1)))


@pytest.mark.parametrize("table", [20, 120, 240])
@pytest.mark.parametrize("half", [80, 110])
@pytest.mark.parametrize("hole", [25, 50])
def test_a_square_plate_is_no_ring_whatever_its_hole(table, half, hole):
    away = np.abs(np.arange(SIDE) - 150)
    outer = np.maximum(away[:, None], away)
    for inner in (outer, np.hypot(away[:, None], away)):  # a square hole, a round one
        plate = np.select([inner < hole, outer < half], [15, 190], table).astype(np.uint8)
        assert is_none(plate)


@pytest.mark.parametrize(
    "size",
    [
        (32, 32),
        (33, 47),
        (32, 500),
        (500, 32),
        (64, 64),
        (1, 1),
        (3, 5),
        (4, 4),
        (7, 7),
        (8, 8),
        (3, 65_500),
        (65_500, 3),
    ],
)
def test_small_and_narrow_pictures_are_looked_at_in_peace(size):
    assert is_none(np.random.default_rng(3).integers(0, 256, size, np.uint8))
    assert find(np.full(size, 9, np.uint8)) is None


def is_none(pixels: np.ndarray) -> bool:
    """Whether no ring is found that the audit would take for one."""
    ring = find(pixels)
    return ring is None or ring.residual > LIMIT


def test_a_strip_goes_from_the_cavity_to_the_table():
    view = camera(30)
    pixels = picture(view, plain_levels(90))
    strip = unwrap(pixels, find(pixels))
    assert (strip.shape, strip.dtype) == ((STRIP_RADII, STRIP_ANGLES), np.uint8)
    way = np.linspace(FROM, TO, STRIP_RADII)
    for rows, level in ((way < -0.05, 15), ((way > 0.05) & (way < 0.95), 190), (way > 1.05, 90)):
        assert np.abs(strip[rows].astype(int) - level).max() < 20
        assert strip[rows].mean() == pytest.approx(level, abs=2)


def test_where_the_ring_leaves_the_picture_there_is_nothing_to_see():
    pixels = picture(camera(30), plain_levels(90))
    ring = find(pixels)
    top = int(ring.rim.points(360)[1].min()) + 12
    cut = pixels[top:]
    cavity, rim = (Ellipse(ellipse.center - [0, top], ellipse.root) for ellipse in ring[:2])
    moved = Ring(cavity, rim, ring.residual)
    places = from_strip(moved, np.arange(STRIP_RADII), np.arange(STRIP_ANGLES))
    outside = outside_picture(places, cut.shape)
    whole, strip = unwrap(pixels, ring), unwrap(cut, moved)
    assert 0.005 < outside.mean() < 0.1
    assert np.array_equal(strip[~outside], whole[~outside])
    repeated = (sample(cut, places) + 0.5).astype(np.uint8)
    marks = [np.abs(detail(levels[None])[0].astype(int) - 128)[91:].max() for levels in (whole, strip, repeated)]
    assert marks[1] <= marks[0] + 5
    assert marks[2] > marks[0] + 30


def test_rows_of_a_strip_that_lie_wholly_outside_show_nothing():
    pixels = picture(camera(30), plain_levels(90))
    ring = find(pixels)
    (left, top), (right, bottom) = (
        np.floor(ring.cavity.points(360)).astype(int).min(axis=1) - 2,
        np.ceil(ring.cavity.points(360)).astype(int).max(axis=1) + 2,
    )
    ellipses = [Ellipse(ellipse.center - [left, top], ellipse.root) for ellipse in ring[:2]]
    cut = pixels[top:bottom, left:right]
    moved = Ring(*ellipses, ring.residual)
    outside = outside_picture(from_strip(moved, np.arange(STRIP_RADII), np.arange(STRIP_ANGLES)), cut.shape)
    assert outside[-1].all()
    assert (detail(unwrap(cut, moved)[None])[0, -1] == 128).all()


def test_the_way_from_the_strip_to_the_photograph_leads_back():
    view = camera(30, axis=0.7, middle=(146, 155))
    ring = find(picture(view, plain_levels(90)))
    rows, columns = np.array([-4, 0, 31.5, 95, 99]), np.array([0.25, 100.5, 256, 511.75])
    points = from_strip(ring, rows, columns)
    assert points.shape == (2, 5, 4)
    back = to_strip(ring, points.reshape(2, -1)).reshape(2, 5, 4)
    assert back[0] == pytest.approx(np.repeat(rows[:, None], 4, axis=1), abs=1e-6)
    assert back[1] == pytest.approx(np.tile(columns, (5, 1)), abs=1e-6)


def test_a_place_of_the_strip_is_where_the_camera_shows_it():
    """Cavity and rim lie in the rows that FROM and TO say, whatever the turn, and the middle in none."""
    view = camera(30, axis=0.7)
    ring = find(picture(view, plain_levels(90)))
    span = (STRIP_RADII - 1) / (TO - FROM)
    for radius, row in ((0.58, -FROM * span), (1, (1 - FROM) * span)):
        rows, _ = to_strip(ring, project_circle(view, radius).points(60))
        assert np.abs(rows - row).max() < 1
    middle = view @ [0, 0, 1]
    assert to_strip(ring, (middle[:2] / middle[2])[:, None])[0] < 0


def best_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The greatest correlation of the metal of two strips over all turns."""
    left, right = (np.fft.rfft(strip[15:85] - strip[15:85].mean(), axis=1) for strip in (one, other))
    products = np.fft.irfft((left.conj() * right).sum(axis=0), n=STRIP_ANGLES)
    return float(products.max() / (one[15:85].std() * other[15:85].std() * one[15:85].size))


def unwrap_from_above(pixels: np.ndarray, ring: Ring) -> np.ndarray:
    """The strip about the middle of the cavity, as if the camera saw the part from straight above."""
    rays = ring.rim.root @ circle(STRIP_ANGLES)
    inner, outer = (ellipse.reach(rays, ring.cavity.center) for ellipse in (ring.cavity, ring.rim))
    way = inner + (outer - inner) * np.linspace(FROM, TO, STRIP_RADII)[:, None]
    return sample(pixels, ring.cavity.center[:, None, None] + rays[:, None] * way).astype(np.uint8)


@pytest.mark.parametrize("lean", [15, 25, 35])
def test_a_part_gives_one_strip_however_the_camera_leans(lean):
    above, leaning = picture(camera(0), mottled_levels(1)), picture(camera(lean, axis=2, spin=2), mottled_levels(1))
    other = picture(camera(lean, axis=2, spin=2), mottled_levels(2))
    straight, ring = unwrap(above, find(above)), find(leaning)
    corrected = best_correlation(straight, unwrap(leaning, ring))
    assert corrected > 0.93
    assert corrected > best_correlation(straight, unwrap_from_above(leaning, ring)) + 0.02 * lean / 15
    assert best_correlation(straight, unwrap(other, find(other))) < 0.3


def test_the_middle_of_the_part_is_seen_where_the_camera_puts_it():
    """The strip's rays meet there: a spoke of the part is a column."""

    def spokes(radius: np.ndarray, turn: np.ndarray) -> np.ndarray:
        bright = np.where(np.cos(24 * turn) > 0, 200, 120)
        return np.select([radius < 0.58, radius < 1], [15, bright], 60)

    view = camera(35, axis=0.5)
    pixels = picture(view, spokes)
    ring = find(pixels)
    assert edge_correlation(unwrap(pixels, ring)) > 0.97
    assert edge_correlation(unwrap_from_above(pixels, ring)) < 0.9


def edge_correlation(strip: np.ndarray) -> float:
    """Correlation of the rows just outside the cavity with those just inside the rim."""
    return float(np.corrcoef(strip[20:26].mean(axis=0), strip[74:80].mean(axis=0))[0, 1])


def test_the_rings_of_real_photographs_are_found(real_archive):
    with ZipFile(real_archive) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpeg")]
        contents = [archive.read(name) for name in random.Random(0).sample(names, 60)]
    residuals = [find(np.asarray(Image.open(BytesIO(content)).convert("L"))).residual for content in contents]
    assert max(residuals) < LIMIT
    assert np.median(residuals) < 0.001


ROWS, COLUMNS = np.mgrid[:STRIP_RADII, :STRIP_ANGLES]


def greatest_details(strip: np.ndarray) -> list[int]:
    """By how much each plane of the detail departs from nothing."""
    return np.abs(detail(strip.astype(np.uint8)[None])[0].astype(int) - 128).max(axis=(0, 1)).tolist()


def test_machining_rings_and_glare_are_no_detail():
    assert greatest_details(120 + 60 * np.sin(ROWS / 2)) == [0, 0]
    assert max(greatest_details(130 + 60 * np.cos(COLUMNS * 2 * np.pi / STRIP_ANGLES))) <= 2


def test_what_goes_on_across_the_ring_is_in_the_second_plane_alone():
    spots, plain = greatest_details(100 + 90 * (COLUMNS % 128 < 4))
    assert spots == 0
    assert plain > 100


def test_a_spot_stands_out_in_both_planes_where_it_lies():
    strip = np.full((1, STRIP_RADII, STRIP_ANGLES), 160, np.uint8)
    strip[0, 50:54, :3] = strip[0, 50:54, -2:] = 90  # about the column where the turn begins
    planes = detail(strip)
    assert planes.shape == (1, STRIP_RADII, STRIP_ANGLES, 2)
    for plane in np.moveaxis(planes[0], -1, 0):
        dark = np.argwhere(plane < 64)
        assert len(dark) == 20
        assert dark[:, 0].min() == 50
        assert sorted(set(dark[:, 1])) == [0, 1, 2, 510, 511]
