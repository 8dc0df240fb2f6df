"""Baselines: a look-up finds a photograph in any pose and light, a shortcut is learned from train, and neither learns from noise."""

import zipfile
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from tasks.evaluation.baselines import lookup, shortcuts
from tasks.images.decoding import decode
from tasks.records.rows import Row
from tasks.settings.settings import Classes

RANDOM = np.random.default_rng(11)
PICTURES = RANDOM.integers(0, 256, (40, 64, 64), np.uint8)
POSES = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]


def apply_pose(pictures: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    turned = np.rot90(pictures, turns, axes=(1, 2))
    return turned[:, :, ::-1] if mirrored else turned


@pytest.mark.parametrize(("turns", "mirrored"), POSES)
def test_a_turned_mirrored_or_relit_copy_is_known(turns, mirrored):
    relit = np.clip(0.6 * apply_pose(PICTURES, turns, mirrored) + 50, 0, 255).astype(np.uint8)
    assert lookup(PICTURES, np.arange(40), relit).tolist() == list(range(40))


def test_noise_is_known_no_better_than_by_chance():
    known, asked = (RANDOM.integers(0, 256, (600, 64, 64), np.uint8) for _ in range(2))
    labels, truth = (RANDOM.integers(0, 2, 600) for _ in range(2))
    assert np.mean(lookup(known, labels, asked) == truth) == pytest.approx(0.5, abs=0.1)  # 5 standard deviations


def look_up_pairwise(known: np.ndarray, labels: Sequence[int], asked: np.ndarray) -> list[int]:
    """What a look-up gives, a pair and a pose at a time."""
    small = [thumbnails.reshape(-1, 32, 2, 32, 2).mean(axis=(2, 4)) for thumbnails in (known, asked)]
    return [
        labels[
            int(
                np.argmax([
                    max(np.corrcoef(one.ravel(), pose.ravel())[0, 1] for pose in poses) for one in small[0]
                ])
            )
        ]
        for poses in (np.concatenate([apply_pose(other[None], *pose) for pose in POSES]) for other in small[1])
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "asked"), [(1, 1), (7, 3), (30, 20)])
def test_it_is_what_comparing_one_by_one_gives(monkeypatch, count, asked):
    monkeypatch.setattr("tasks.evaluation.baselines.TRAIN_BLOCK", 8)  # so that the last block is a part of one
    monkeypatch.setattr("tasks.evaluation.baselines.TEST_BLOCK", 6)
    known, others = PICTURES[:count], RANDOM.integers(0, 256, (asked, 64, 64), np.uint8)
    labels = RANDOM.integers(0, 2, count)
    assert lookup(known, labels, others).tolist() == look_up_pairwise(known, labels, others)


def test_an_even_picture_is_like_no_other_and_breaks_nothing():
    even = np.full((1, 64, 64), 90, np.uint8)
    assert lookup(np.concatenate([even, PICTURES]), np.arange(41), PICTURES).tolist() == list(range(1, 41))
    assert lookup(PICTURES, np.arange(40), even).tolist() == [0]


def make_row(number: int, defect: bool, **quantities: float) -> Row:
    label = "def_front" if defect else "ok_front"
    seen = {"brightness": 120.0, "border": 110.0, "sharpness": 9.0, **quantities}
    return Row(f"{number}.jpeg", f"{number}", label, "base", "", 48, 48, **seen)


def draw_rows(count: int, seed: int, shift: float, quantity: str = "brightness") -> list[Row]:
    """Rows of chance; the quantity of defects is `shift` standard deviations higher."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        defect = bool(random.integers(2))
        light = dict(zip(("brightness", "border", "sharpness"), random.normal(100, 10, 3), strict=True))
        light[quantity] += 10 * shift * defect
        rows.append(make_row(number, defect, **light))
    return rows


@pytest.mark.parametrize("quantity", ["brightness", "border", "sharpness"])
@pytest.mark.parametrize("shift", [-8, 8])
def test_a_quantity_that_gives_the_class_away_is_found_alone_and_among_others(quantity, shift):
    probes = shortcuts(draw_rows(400, 1, shift, quantity), draw_rows(400, 2, shift, quantity), Classes())
    for name, probe in probes.items():
        if name in (quantity, "together"):
            assert probe.accuracy > 0.99
            assert probe.auc > 0.999
        else:
            assert probe.auc == pytest.approx(0.5, abs=0.12)


def test_where_nothing_gives_the_class_away_nothing_is_found():
    for probe in shortcuts(draw_rows(2_000, 3, 0), draw_rows(2_000, 4, 0), Classes()).values():
        assert probe.auc == pytest.approx(0.5, abs=0.06)  # nearly 5 standard deviations
        assert probe.accuracy == pytest.approx(0.5, abs=0.06)


def test_what_train_teaches_the_wrong_way_round_is_no_shortcut():
    assert shortcuts(draw_rows(400, 5, 3), draw_rows(400, 6, -3), Classes())["brightness"].auc < 0.1


def test_a_class_of_middling_light_is_found():
    def lit(seed: int) -> list[Row]:
        random = np.random.default_rng(seed)
        return [
            make_row(number, defect, brightness=100 + (0 if defect else random.choice([-30, 30])) + random.normal(0, 3))
            for number in range(300)
            for defect in (number % 2 == 0,)
        ]

    assert shortcuts(lit(7), lit(8), Classes())["brightness"].auc > 0.999


def test_equal_values_tell_nothing():
    rows = [make_row(number, number % 3 == 0) for number in range(30)]
    for probe in shortcuts(rows, rows, Classes()).values():
        assert probe.auc == 0.5
        assert probe.accuracy == pytest.approx(2 / 3)  # the more common class


def test_a_test_of_one_class_has_no_auc():
    rows = draw_rows(60, 9, 1)
    probes = shortcuts(rows, [one for one in rows if one.label == "ok_front"], Classes())
    assert all(probe.auc is None for probe in probes.values())


def test_the_same_rows_give_the_same_probes():
    assert shortcuts(draw_rows(300, 1, 1), draw_rows(300, 2, 1), Classes()) == shortcuts(
        draw_rows(300, 1, 1), draw_rows(300, 2, 1), Classes()
    )


def test_a_look_up_passes_the_published_test(real_archive):
    thumbnails, labels, test = [], [], []
    with zipfile.ZipFile(real_archive) as archive:
        for name in archive.namelist():
            if name.startswith("casting_data/") and name.endswith(".jpeg"):
                pixels = decode(archive.read(name), ".jpeg", 40).pixels
                thumbnails.append(np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BOX)))
                labels.append("/def_front/" in name)
                test.append("/test/" in name)
    pictures, defect, tested = np.array(thumbnails), np.array(labels), np.array(test)
    assert (np.sum(~tested), np.sum(tested)) == (6_633, 715)
    found = lookup(pictures[~tested], defect[~tested], pictures[tested])
    assert np.mean(found == defect[tested]) >= 0.98
