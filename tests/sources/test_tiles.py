"""The drawn tiles: their layout, their truth, and that nothing but the defect tells a defective tile."""

import csv
from collections import defaultdict
from io import BytesIO
from itertools import combinations, pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy import ndimage, stats

from tasks.settings.settings import ClassSettings, TilesSettings
from tasks.sources.layouts.detect import detect
from tasks.sources.synthetic.corruptions import DAMAGES, TRANSFORMS, decode
from tasks.sources.synthetic.defects import Defect, Difficulty
from tasks.sources.synthetic.sample import write_sample
from tasks.sources.synthetic.tile_defects import GRADES, TILE_KINDS, TileKind, spoil_tile
from tasks.sources.synthetic.tile_rendering import LAMPS, NEW_LAMP, photograph_tile
from tasks.sources.synthetic.tile_surface import HEIGHT, WIDTH, draw_tile

PLAIN = TilesSettings(parts=12)
FAULTY = PLAIN.model_copy(
    update={
        "exact_copies": 3,
        "transformed_copies": len(TRANSFORMS),
        "corrupt_files": len(DAMAGES),
        "new_camera_images": 4,
    }
)


class Sample(NamedTuple):
    """A sample, read back: the zip's files, the rows of the truth, and its masks by stem."""

    archive: bytes
    files: dict[str, bytes]
    rows: list[dict[str, str]]
    masks: dict[str, bytes]

    def photographs(self) -> list[np.ndarray]:
        return [decode(self.files[row["path"]]) for row in self.rows]

    def faulty(self, fault: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["fault"] == fault]


def draw(settings: TilesSettings, folder: Path) -> Sample:
    folder.mkdir(exist_ok=True)
    write_sample(settings, folder / "tiles.zip", folder / "truth")
    with ZipFile(folder / "tiles.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with (folder / "truth/truth.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    masks = {path.stem: path.read_bytes() for path in (folder / "truth/masks").iterdir()}
    return Sample((folder / "tiles.zip").read_bytes(), files, rows, masks)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return draw(PLAIN, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return draw(FAULTY, tmp_path_factory.mktemp("faulty"))


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return draw(TilesSettings(), tmp_path_factory.mktemp("default"))


def pixels(mask: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(mask)))


def test_the_same_settings_give_the_same_bytes_and_another_seed_gives_other_tiles(plain, tmp_path):
    assert draw(PLAIN, tmp_path / "again").archive == plain.archive
    other = draw(PLAIN.model_copy(update={"seed": 1}), tmp_path / "other")
    assert not {other.files[row["path"]] for row in other.rows} & set(plain.files.values())


def test_a_folder_a_kind_holds_photographs_with_their_masks_beside(plain):
    assert {str(PurePosixPath(path).parent) for path in plain.files} == {
        f"tiles/{label}/Imgs" for label in ("Blowhole", "Crack", "Free")
    }
    for row in plain.rows:
        name = PurePosixPath(row["path"])
        lamp, _, number = name.stem.partition("_num_")
        assert (name.suffix, lamp, len(number)) == (".jpg", row["camera"], 6)
        assert name.parts[1] == row["label"] == (row["defect"].capitalize() or "Free")
        mask = plain.files[str(name.with_suffix(".png"))]
        assert mask == plain.masks[name.stem]
        assert pixels(mask).shape == decode(plain.files[row["path"]]).shape
        assert set(np.unique(pixels(mask))) == ({0, 255} if row["defect"] else {0})
    assert len(plain.files) == 2 * len(plain.rows)


def test_the_layout_is_recognized_without_a_setting(faulty):
    layout = detect(faulty.files, ClassSettings(), faulty.files.__getitem__)
    assert (set(layout.folders.defect), layout.folders.good) == ({"Blowhole", "Crack"}, "Free")
    assert [(file.name, file.kind, file.split) for file in layout.files] == [
        (row["path"], row["label"], "") for row in faulty.rows
    ]
    masks = {file.name: file.mask for file in layout.files}
    for row in faulty.rows:
        mask = str(PurePosixPath(row["path"]).with_suffix(".png"))
        assert masks[row["path"]] == (mask if mask in faulty.files else "")


def test_a_third_of_the_tiles_is_defective_and_each_has_two_to_six_lamps(default):
    lamps = defaultdict(list)
    for row in default.rows:
        lamps[row["part"], row["defect"], row["difficulty"]].append(row["camera"])
    assert len(lamps) == TilesSettings().parts
    assert {len(names) for names in lamps.values()} == {2, 3, 4, 5, 6}
    assert all(len(set(names)) == len(names) for names in lamps.values())
    defects = [(kind, difficulty) for _, kind, difficulty in lamps if kind]
    assert len(defects) == pytest.approx(TilesSettings().parts / 3, abs=1)
    assert set(defects) == {(kind, difficulty) for kind in TILE_KINDS for difficulty in GRADES}


def test_every_photograph_of_a_defective_tile_shows_the_defect(default):
    shown = {stem: (pixels(mask) > 0).sum() for stem, mask in default.masks.items()}
    for row in default.rows:
        area = shown[PurePosixPath(row["path"]).stem]
        assert area >= 12 if row["defect"] else area == 0, row["path"]


def test_names_do_not_tell_the_tile(default):
    """Neighbors by number are of one tile no more often than any two photographs."""
    parts = [row["part"] for row in sorted(default.rows, key=lambda row: row["path"][-10:])]
    beside = sum(part == after for part, after in pairwise(parts))
    expected = sum(part == other for part, other in combinations(parts, 2)) * 2 / len(parts)
    assert beside <= expected + 4 * np.sqrt(expected)


@pytest.mark.parametrize("kind", TILE_KINDS)
@pytest.mark.parametrize("difficulty", GRADES)
@pytest.mark.parametrize("lamp", LAMPS, ids=lambda lamp: lamp.name)
def test_a_mask_lies_where_the_defect_changes_the_picture(kind: TileKind, difficulty: Difficulty, lamp):
    good = draw_tile(np.random.default_rng(1))
    bad = spoil_tile(good, Defect(kind, difficulty), np.random.default_rng(2))
    before, after = (photograph_tile(tile, lamp, np.random.default_rng(3)) for tile in (good, bad))
    darker = before.pixels.astype(float) - after.pixels
    assert not before.defect.any()
    assert darker[after.defect].mean() > 0.2 * before.pixels[after.defect].mean()
    assert np.abs(darker[~ndimage.binary_dilation(after.defect, iterations=4)]).mean() < 0.01


@pytest.mark.parametrize("kind", TILE_KINDS)
def test_hard_defects_cover_fewer_pixels_than_easy_ones(kind):
    good = draw_tile(np.random.default_rng(1))
    easy, medium, hard = (
        spoil_tile(good, Defect(kind, difficulty), np.random.default_rng(2)).defect.sum() for difficulty in GRADES
    )
    assert 0 < hard < medium < easy


def detail(photograph: np.ndarray) -> np.ndarray:
    """The local detail without the light: spectrum of norm 1 of 58 x 58 pixels."""
    small = np.asarray(Image.fromarray(photograph).resize((64, 64), Image.Resampling.BILINEAR, reducing_gap=3))
    logs = np.log(small.astype(float) + 5)
    logs -= ndimage.uniform_filter(logs, 9)
    logs = (logs / np.sqrt(ndimage.uniform_filter(logs**2, 17) + 1e-4))[3:-3, 3:-3]
    return np.fft.rfft2((logs - logs.mean()) / logs.std() / logs.shape[0])


def likeness(left: np.ndarray, right: np.ndarray) -> float:
    """The greatest correlation over shifts of up to three pixels."""
    shifts = np.fft.irfft2(left * right.conj(), s=(58, 58))
    return np.roll(shifts, (3, 3), axis=(0, 1))[:7, :7].max()


def test_photographs_of_one_tile_are_more_alike_in_detail_than_those_of_two(plain):
    details = [
        (row["part"], detail(photograph)) for row, photograph in zip(plain.rows, plain.photographs(), strict=True)
    ]
    same, different = [], []
    for (part, left), (other, right) in combinations(details, 2):
        (same if part == other else different).append(likeness(left, right))
    assert min(same) > max(different)


def test_neither_light_nor_sharpness_nor_size_nor_name_tells_a_defect(default):
    defective = np.array([bool(row["defect"]) for row in default.rows])
    photographs = default.photographs()
    clues = {
        "brightness": [photograph.mean() for photograph in photographs],
        "contrast": [photograph.std() for photograph in photographs],
        "sharpness": [ndimage.laplace(photograph.astype(float)).var() for photograph in photographs],
        "height": [photograph.shape[0] for photograph in photographs],
        "width": [photograph.shape[1] for photograph in photographs],
        "bytes": [len(default.files[row["path"]]) for row in default.rows],
        "number": [int(row["path"][-10:-4]) for row in default.rows],
    }
    for clue, values in clues.items():
        values = np.array(values)
        auc = stats.mannwhitneyu(values[defective], values[~defective]).statistic / defective.sum() / (~defective).sum()
        assert 0.4 < auc < 0.6, clue


def test_the_sizes_vary_by_a_tenth_at_most_and_the_light_strongly(default):
    sizes = np.array([photograph.shape for photograph in default.photographs()])
    assert (np.abs(sizes / (HEIGHT, WIDTH) - 1) <= 0.11).all()
    assert len(np.unique(sizes, axis=0)) > len(sizes) / 2
    levels = defaultdict(list)
    for row, photograph in zip(default.rows, default.photographs(), strict=True):
        levels[row["camera"]].append(photograph.mean())
    assert np.mean(levels["exp6"]) > 2 * np.mean(levels["exp1"])


def test_faults_come_on_top_of_the_ordinary_photographs(plain, faulty):
    assert plain.files.items() <= faulty.files.items()
    assert len(faulty.faulty("")) == len(plain.rows)
    assert len({row["path"] for row in faulty.rows}) == len(faulty.rows) == len(plain.rows) + 3 + 14 + 8 + 4
    for row in faulty.faulty("exact_copy"):
        assert faulty.files[row["path"]] == faulty.files[row["copy_of"]]
        assert (row["part"], row["label"]) != ("", "")
    copies = faulty.faulty("transformed_copy")
    assert {row["transform"] for row in copies} == set(TRANSFORMS)
    for row in copies:
        assert faulty.files[row["path"]] == TRANSFORMS[row["transform"]](faulty.files[row["copy_of"]])
    assert {row["transform"] for row in faulty.faulty("corrupt")} == set(DAMAGES)
    assert {row["camera"] for row in faulty.faulty("new_camera")} == {NEW_LAMP.name}


def test_what_has_no_mask_is_a_copy_or_damaged(faulty):
    bare = {
        row["path"] for row in faulty.rows if str(PurePosixPath(row["path"]).with_suffix(".png")) not in faulty.files
    }
    assert bare == {row["path"] for row in faulty.rows if row["copy_of"] or row["fault"] == "corrupt"}


@pytest.mark.parametrize("name", ["shared_parts", "test_images"])
def test_a_fault_between_train_and_test_is_refused(name):
    with pytest.raises(ValidationError, match=name):
        TilesSettings.model_validate({name: 1})
