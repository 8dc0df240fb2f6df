"""Heat maps: the peak lies where the evidence is in the photograph, and the color shows how much evidence there is."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tasks.images.detail import Box
from tasks.images.ellipses import Ellipse
from tasks.images.rings import STRIP_ANGLES, STRIP_RADII, Ring, from_strip
from tasks.inference.heatmaps import FAINT, STRONG, contributions, heat_over_photograph, maps, middle, paint, peak
from tasks.records.results import Corrections, PartNames
from tasks.records.rows import Member, Row
from tasks.settings.settings import AuditSettings, FetchSettings, SampleSettings, TrainingSettings, ValidationSettings
from tasks.storage.tables import read_table

if TYPE_CHECKING:
    import keras

TURN = Ring(Ellipse(np.array([150.0, 148]), np.eye(2) * 60), Ellipse(np.array([151.0, 150]), np.diag([110.0, 100])), 0)
SHAPE = 300, 310


def spot(row: int, column: int, rows: int = 12, columns: int = 64) -> np.ndarray:
    """A map that speaks for a defect about one place alone, around the turn."""
    local = np.full((rows, columns), -5, np.float32)
    for across in (-1, 0, 1):
        local[row - 1 : row + 2, (column + across) % columns] = 3
    local[row, column] = 4
    return local


def test_the_middle_of_a_spot_is_found_across_the_end_of_the_turn():
    assert middle(spot(5, 20), turning=True) == pytest.approx((5, 20))
    assert middle(spot(5, 63), turning=True) == pytest.approx((5, 63))
    row, column = middle(spot(5, 0), turning=True)
    assert (row, column % 64) == pytest.approx((5, 0))


def test_the_middle_is_of_the_spot_and_not_of_its_loudest_place_nor_of_another_spot():
    local = spot(5, 20)
    local[4, 19] = 4.5
    local[9:11, 40:50] = 4
    down, across = middle(local, turning=True)
    assert (down, across) == pytest.approx((5, 20), abs=0.1)


def test_in_a_whole_picture_the_left_edge_is_not_beside_the_right():
    down, across = middle(spot(5, 0, 12, 12), turning=False)
    assert across < 1 or across > 10


def test_where_nothing_speaks_for_a_defect_the_peak_is_the_greatest_place():
    local = np.full((12, 64), -5, np.float32)
    local[3, 60] = -1
    assert middle(local, turning=True) == (3, 60)


def test_the_peak_of_a_whole_picture_lies_in_its_own_pixels():
    local = spot(4, 8, 10, 10)
    assert peak(local, None, (200, 400)) == pytest.approx((8.5 * 40 - 0.5, 4.5 * 20 - 0.5))


@pytest.mark.parametrize("column", [0, 9, 31, 63])
def test_the_peak_of_a_ring_lies_where_its_cell_was_unwrapped_from(column):
    found = peak(spot(6, column), TURN, SHAPE)
    cell = from_strip(TURN, np.array([6 * 8 + 3.5]), np.array([column * 8 + 3.5]))[:, 0, 0]
    assert found == pytest.approx(tuple(cell), abs=0.01)


@pytest.mark.parametrize("column", [0, 9, 31, 63])
def test_the_heat_of_a_ring_is_greatest_at_its_peak_and_nowhere_off_the_strip(column):
    size = 240
    local = spot(6, column)
    heat = heat_over_photograph(local, TURN, SHAPE, size)
    row, across = np.unravel_index(heat.argmax(), heat.shape)
    x, y = peak(local, TURN, SHAPE)
    assert ((across + 0.5) / size * SHAPE[1] - 0.5, (row + 0.5) / size * SHAPE[0] - 0.5) == pytest.approx((x, y), abs=2)
    assert heat[0, 0] == heat[size // 2, size // 2] == -np.inf, (
        "the table and the middle of the cavity are no part of the ring"
    )
    assert heat[np.isfinite(heat)].min() == pytest.approx(-5)


def test_the_heat_of_a_whole_picture_covers_all_of_it():
    heat = heat_over_photograph(spot(4, 8, 10, 10), None, (200, 400), 100)
    assert heat.shape == (100, 100)
    assert np.isfinite(heat).all()
    assert 40 <= np.unravel_index(heat.argmax(), heat.shape)[0] < 50
    assert 80 <= np.unravel_index(heat.argmax(), heat.shape)[1] < 90


@pytest.mark.parametrize(("row", "column"), [(1, 1), (4, 8), (8, 8)])
def test_the_heat_of_a_crop_lies_where_the_crop_was_cut(row, column):
    seen, size = Box(40, 100, 120, 200), 100
    x, y = peak(spot(row, column, 10, 10), None, SHAPE, seen)
    assert (x, y) == pytest.approx((100 + (column + 0.5) * 20 - 0.5, 40 + (row + 0.5) * 12 - 0.5))
    heat = heat_over_photograph(spot(row, column, 10, 10), None, SHAPE, size, seen)
    down, across = (np.arange(size) + 0.5) * SHAPE[0] / size, (np.arange(size) + 0.5) * SHAPE[1] / size
    inside = ((down > 40) & (down < 160))[:, None] & ((across > 100) & (across < 300))
    assert (np.isfinite(heat) != inside).mean() < 0.02
    top, left = np.unravel_index(heat.argmax(), heat.shape)
    assert (across[left], down[top]) == pytest.approx((x, y), abs=12)


def test_only_strong_evidence_is_painted_and_the_scale_is_fixed():
    grey = np.full((1, 5), 100, np.uint8)
    heat = np.array([[-np.inf, FAINT, (FAINT + STRONG) / 2, STRONG, 10 * STRONG]], np.float32)
    pixels = paint(grey, heat)[0].astype(int)
    assert (pixels[:2] == 100).all(), "below the scale a photograph stays grey"
    assert (pixels[3] == pixels[4]).all()
    redness = pixels[:, 0] - pixels[:, 2]
    assert 0 == redness[1] < redness[2] < redness[3]
    assert pixels[2, 1] > pixels[3, 1], "yellow before red"


def linear_network(weights: np.ndarray) -> "keras.Model":
    """A network whose margin is the sum of an image's levels times these weights, (8, 8)."""
    import keras  # late: most of these tests need no network
    from keras import layers

    image = keras.Input((8, 8, 1))
    copied = layers.Conv2D(1, 1, kernel_initializer="ones", name="copied")(image)
    logits = layers.Dense(2, name="heads")(layers.Flatten()(copied))
    network = keras.Model(image, {"logits": logits})
    network.get_layer("heads").set_weights([np.stack([-weights.ravel(), weights.ravel()], axis=1) / 2, np.zeros(2)])
    return network


def test_contributions_add_up_to_the_margin_and_lie_where_it_comes_from():
    weights = np.zeros((8, 8), np.float32)
    weights[2, 5], weights[6, 1] = 0.01, -0.02
    network = linear_network(weights)
    image = np.random.default_rng(0).integers(100, 255, (3, 8, 8, 1), np.uint8)
    image[:, 2, 5] = 100  # other places are brighter, which a mean over gradients would point at
    found = contributions(network, image)
    logits = np.asarray(network(image.astype(np.float32))["logits"])
    assert found.shape == (3, 8, 8)
    assert found.mean(axis=(1, 2)) == pytest.approx(logits[:, 1] - logits[:, 0], rel=1e-4)
    assert [np.unravel_index(one.argmax(), one.shape) for one in found] == [(2, 5)] * 3
    assert [np.unravel_index(one.argmin(), one.shape) for one in found] == [(6, 1)] * 3


@pytest.mark.parametrize("name", ["compact", "ring", "patch", "backbone", "tutorial"])
def test_every_network_has_a_map_of_each_image(name):
    from tasks.networks import networks

    network = networks.build(name, 300 if name == "tutorial" else 75)
    levels = np.random.default_rng(0).integers(0, 255, (2, *network.input_shape[1:]), np.uint8)
    found = maps(network, levels)
    assert (found.shape[0], found.dtype, found.ndim) == (2, np.float32, 3)
    assert np.isfinite(found).all()
    assert found.std() > 0
    assert not np.array_equal(found[0], found[1])


def test_the_own_map_of_a_ring_network_is_taken_as_it_is():
    from tasks.networks import networks

    network = networks.build("ring", 512)
    levels = np.random.default_rng(0).integers(0, 255, (1, *network.input_shape[1:]), np.uint8)
    assert maps(network, levels) == pytest.approx(np.asarray(network(levels, training=False)["map"]), abs=1e-4)


@pytest.mark.long
@pytest.mark.usefixtures("tensorflow", "process")
def test_the_peaks_of_a_short_training_lie_on_the_defects(places):
    """A short form of `make heatmaps`."""
    from benchmarks import heatmaps, preparation
    from tasks.audit import audit
    from tasks.extract import extract
    from tasks.fetch import fetch
    from tasks.sources.locate import locate
    from tasks.validate import validate

    settings = FetchSettings(sample=SampleSettings(parts=24, train_images=240, test_images=40))
    folder = extract.fn(fetch.fn(locate(settings, places), places), settings.classes, places)
    manifest = validate.fn(folder, (), Corrections(), ValidationSettings(), places)
    audited = audit.fn(manifest, PartNames(), AuditSettings(), places)
    groups = {member.sha256: member.group for member in read_table(audited.groups.path(places), Member)}
    rows = [row._replace(group=groups[row.sha256]) for row in read_table(manifest.table.path(places), Row)]
    data = preparation.PreparedImages(rows, [], manifest.classes, places)
    file = heatmaps.train_network(data, TrainingSettings(model="ring", epochs=12))
    found = heatmaps.summarize_groups(heatmaps.judge_defects(file, rows, places))["all"]
    assert found["defects"] >= 15
    assert found["detected"] >= found["defects"] / 2
    assert found["on_the_mask"] >= 0.8


def test_a_strip_is_cut_into_whole_cells():
    """`peak` and `heat_over_photograph` take it that 12 x 64 places cover the strip from its first row to its last."""
    assert (STRIP_RADII % 12, STRIP_ANGLES % 64) == (0, 0)
