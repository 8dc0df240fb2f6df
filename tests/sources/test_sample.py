"""The drawn sample: its layout, its truth, and the faults planted in it."""

import csv
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from scipy import ndimage

from tasks.settings.settings import SampleSettings
from tasks.sources.synthetic.cameras import CAMERAS, NEW_CAMERA
from tasks.sources.synthetic.corruptions import DAMAGES, TRANSFORMS, decode
from tasks.sources.synthetic.defects import KINDS, Defect, Kind, spoil
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph
from tasks.sources.synthetic.sample import write_sample

PLAIN = SampleSettings(parts=8, train_images=16, test_images=8)
FAULTY = SampleSettings(
    parts=12,
    train_images=24,
    test_images=12,
    shared_parts=0.5,
    exact_copies=3,
    transformed_copies=len(TRANSFORMS),
    corrupt_files=2 * len(DAMAGES),
    new_camera_images=4,
)


class Written:
    """A sample on disk, read back."""

    def __init__(self, sample: SampleSettings, folder: Path) -> None:
        self.archive, self.masks = folder / "sample.zip", folder / "truth" / "masks"
        write_sample(sample, self.archive, folder / "truth")
        with ZipFile(self.archive) as archive:
            self.files = {name: archive.read(name) for name in archive.namelist()}
        with (folder / "truth" / "truth.csv").open(newline="", encoding="utf-8") as table:
            self.rows = list(csv.DictReader(table))

    def faulty(self, fault: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["fault"] == fault]

    def parts(self, split: str) -> set[str]:
        return {row["part"] for row in self.rows if f"/{split}/" in row["path"] and not row["copy_of"]}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(PLAIN, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(FAULTY, tmp_path_factory.mktemp("faulty"))


def test_the_archive_is_laid_out_as_the_published_one(plain: Written) -> None:
    folders = {path.rpartition("/")[0] for path in plain.files}
    assert folders == {
        f"casting_data/casting_data/{split}/{label}"
        for split in ("train", "test")
        for label in ("def_front", "ok_front")
    }
    for path in plain.files:
        stem = "cast_def_0_" if "/def_front/" in path else "cast_ok_0_"
        assert Path(path).name == f"{stem}{int(Path(path).stem.removeprefix(stem))}.jpeg"


def test_each_split_holds_as_many_photographs_as_asked_for(plain: Written) -> None:
    assert sum("/train/" in path for path in plain.files) == PLAIN.train_images
    assert sum("/test/" in path for path in plain.files) == PLAIN.test_images


def test_faults_come_on_top_of_the_ordinary_photographs(faulty: Written) -> None:
    extra = FAULTY.exact_copies + FAULTY.transformed_copies + FAULTY.corrupt_files + FAULTY.new_camera_images
    assert sum("/train/" in path for path in faulty.files) == FAULTY.train_images + extra
    assert sum("/test/" in path for path in faulty.files) == FAULTY.test_images


def test_the_truth_has_one_line_for_each_file(faulty: Written) -> None:
    assert [row["path"] for row in faulty.rows] == list(faulty.files) == sorted(faulty.files)
    assert len({Path(path).stem for path in faulty.files}) == len(faulty.files), "a mask is named by the stem alone"


def test_the_same_settings_give_the_same_bytes(plain: Written, tmp_path: Path) -> None:
    again = Written(PLAIN, tmp_path)
    assert again.archive.read_bytes() == plain.archive.read_bytes()
    assert again.rows == plain.rows


def test_another_seed_draws_other_castings(plain: Written, tmp_path: Path) -> None:
    other = Written(PLAIN.model_copy(update={"seed": 1}), tmp_path)
    assert not set(plain.files.values()) & set(other.files.values())


def test_planting_faults_changes_no_ordinary_photograph(plain: Written, tmp_path: Path) -> None:
    planted = PLAIN.model_copy(
        update={"exact_copies": 2, "transformed_copies": 2, "corrupt_files": 2, "new_camera_images": 2}
    )
    assert plain.files.items() <= Written(planted, tmp_path).files.items()


def test_every_sound_file_is_a_grey_jpeg_of_300_pixels(faulty: Written) -> None:
    for row in faulty.rows:
        if row["fault"] != "corrupt":
            assert sound(faulty.files[row["path"]])
            pixels = decode(faulty.files[row["path"]])
            assert pixels.shape == (300, 300)
            assert pixels.std() > 20, "not blank"


def test_no_casting_is_in_both_splits(plain: Written) -> None:
    assert not plain.parts("train") & plain.parts("test")


def test_castings_are_photographed_for_both_splits_when_asked(faulty: Written) -> None:
    shared = faulty.parts("train") & faulty.parts("test")
    assert len(shared) == FAULTY.shared_parts * len(faulty.parts("test"))
    assert {row["part"] for row in faulty.faulty("shared_part")} == shared


def test_exact_copies_repeat_test_files_byte_by_byte(faulty: Written) -> None:
    assert len(faulty.faulty("exact_copy")) == FAULTY.exact_copies
    for row in faulty.faulty("exact_copy"):
        assert "/train/" in row["path"]
        assert "/test/" in row["copy_of"]
        assert faulty.files[row["path"]] == faulty.files[row["copy_of"]]


def test_transformed_copies_match_their_original_once_the_transform_is_undone(faulty: Written) -> None:
    copies = faulty.faulty("transformed_copy")
    assert {row["transform"] for row in copies} == set(TRANSFORMS)
    for row in copies:
        copy, original = faulty.files[row["path"]], faulty.files[row["copy_of"]]
        assert copy != original
        inner = (slice(5, -5), slice(5, -5))  # a shift loses an edge
        likeness = np.corrcoef(undone(decode(copy), row["transform"])[inner].ravel(), decode(original)[inner].ravel())[
            0, 1
        ]
        assert likeness > 0.98, row["transform"]


def undone(pixels: np.ndarray, transform: str) -> np.ndarray:
    """The picture before its geometry was changed."""
    if transform.startswith("shift"):
        right, down = map(int, transform.split()[1:])
        return np.roll(pixels, (-down, -right), axis=(0, 1))
    if "turn" in transform:
        pixels = np.rot90(pixels, -int(transform.split()[-1]) // 90)
    return pixels[:, ::-1] if "mirror" in transform else pixels


def test_corrupt_files_are_no_grey_jpegs_that_decode_without_a_complaint(faulty: Written) -> None:
    assert {row["transform"] for row in faulty.faulty("corrupt")} == set(DAMAGES)
    for row in faulty.faulty("corrupt"):
        assert not sound(faulty.files[row["path"]]), row["transform"]


def sound(content: bytes) -> bool:
    """Whether these bytes are a grey JPEG that decodes without so much as a warning."""
    try:
        simplejpeg.decode_jpeg(content, colorspace="GRAY", strict=True)
    except ValueError:
        return False
    return simplejpeg.decode_jpeg_header(content)[2] == "Gray"


def test_the_new_camera_has_a_bright_background(faulty: Written) -> None:
    new, ordinary = faulty.faulty("new_camera"), faulty.faulty("")
    assert {row["camera"] for row in new} == {NEW_CAMERA.name}
    assert {row["label"] for row in new} == {"def_front", "ok_front"}
    corner = {row["path"]: np.median(decode(faulty.files[row["path"]])[:20, :20]) for row in new + ordinary}
    assert min(corner[row["path"]] for row in new) > max(corner[row["path"]] for row in ordinary)


def test_exactly_the_sound_photographs_of_defects_have_a_mask(faulty: Written) -> None:
    defective = {
        Path(row["path"]).stem
        for row in faulty.rows
        if row["defect"] and not row["copy_of"] and row["fault"] != "corrupt"
    }
    assert {path.stem for path in faulty.masks.iterdir()} == defective
    for path in faulty.masks.iterdir():
        mask = np.asarray(Image.open(BytesIO(path.read_bytes())))
        assert mask.shape == (300, 300)
        assert set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_lies_where_the_defect_changes_the_picture(kind: Kind) -> None:
    good = draw_casting(np.random.default_rng(1))
    bad = spoil(good, Defect(kind, "easy"), np.random.default_rng(2))
    before, after = (photograph(casting, CAMERAS[0], np.random.default_rng(3)) for casting in (good, bad))
    change = np.abs(after.pixels.astype(float) - before.pixels)
    assert not before.defect.any()
    assert change[after.defect].mean() > 40
    assert change[~ndimage.binary_dilation(after.defect, iterations=12)].mean() < 1


def test_hard_defects_cover_fewer_pixels_than_easy_ones() -> None:
    good = draw_casting(np.random.default_rng(1))
    for kind in KINDS:
        easy = spoil(good, Defect(kind, "easy"), np.random.default_rng(2))
        hard = spoil(good, Defect(kind, "hard"), np.random.default_rng(2))
        assert 0 < hard.defect.sum() < easy.defect.sum(), kind
