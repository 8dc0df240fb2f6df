"""Extract: the images of the two classes, each stored once by its content."""

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from tasks.extract import extract
from tasks.images.decoding import SUFFIXES
from tasks.records.results import Archive
from tasks.records.rows import Entry, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, ClassSettings
from tasks.storage.files import store
from tasks.storage.tables import read_table


@pytest.fixture
def write_archive(places):
    """The record of a zip that holds these files."""

    def write(files: dict[str, bytes]) -> Archive:
        def fill(path: Path) -> None:
            with ZipFile(path, "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)

        return Archive(file=store(fill, places, "data", "archives/zip.zip"), bytes=1)

    return write


PAIR = {"a/train/def_front/1.jpeg": b"one", "a/train/ok_front/2.jpeg": b"two"}


def test_every_file_of_a_class_is_kept_by_its_content(extract_source, dataset, places):
    folder = dataset({"train": 3, "test": 1})
    record = extract_source(folder)
    entries = read_table(record.listing.path(places), Entry)
    assert record.files_found == len(entries) == 8
    for entry in entries:
        assert stored_path(entry, places).read_bytes() == (folder / entry.path).read_bytes()
        assert entry.path == f"{entry.published}/{entry.label}/{Path(entry.path).name}"
        assert entry.origin == "base"
    assert record.damage(places) is None


def test_a_folder_and_the_zip_of_it_are_one_data_set(extract_source, dataset, tmp_path, places):
    folder = dataset({"train": 2, "test": 2})
    with ZipFile(tmp_path / "castings.zip", "w") as archive:
        for path in folder.rglob("*.jpeg"):
            archive.write(path, Path("deep/down") / path.relative_to(folder))
    before = (tmp_path / "castings.zip").read_bytes()
    zipped, plain = extract_source(tmp_path / "castings.zip"), extract_source(folder)
    assert zipped.model_copy(update={"layout": plain.layout}) == plain
    assert (tmp_path / "castings.zip").read_bytes() == before


def test_equal_bytes_are_kept_once_and_listed_twice(write_archive, places):
    record = extract.fn(write_archive({**PAIR, "a/train/ok_front/3.JPEG": b"two"}), ClassSettings(), places)
    entries = read_table(record.listing.path(places), Entry)
    assert len(entries) == 3
    assert len({stored_path(entry, places) for entry in entries}) == 2


def test_images_of_another_part_of_the_archive_are_counted_and_left_alone(write_archive, places):
    other = {"b/def_front/1.jpeg": b"other", "b/ok_front/1.jpeg": b"other", "README.md": b"text", "cover.png": b"png"}
    record = extract.fn(write_archive({**PAIR, **other}), ClassSettings(), places)
    assert (record.files_found, record.left_alone) == (2, 3)
    assert len(list((places.data / "images").rglob("*.jpeg"))) == 2


def test_what_an_operating_system_left_is_counted_and_skipped(write_archive, places, capsys):
    left = {"__MACOSX/a/train/ok_front/._2.jpeg": b"x", "a/train/ok_front/.DS_Store": b"x", "a/train/Thumbs.db": b"x"}
    record = extract.fn(write_archive({**PAIR, **left}), ClassSettings(), places)
    assert (record.files_found, record.left_alone, record.junk) == (2, 0, 3)
    assert capsys.readouterr().out == (
        "extract: class folders in folders of published splits, below a; defect: def_front (1); good: ok_front (1); "
        "published splits: train (2)\n"
        "extract: 2 files, 0 other images left alone, 3 junk files skipped\n"
    )
    assert extract.fn(write_archive(PAIR), ClassSettings(), places).junk == 0


def test_files_of_other_formats_are_counted_and_named(write_archive, places):
    others = {"a/readme.txt": b"x", "b/1.gif": b"x", "b/2.gif": b"x", "cover.png": b"png"}
    images, files = extract.fn(write_archive({**PAIR, **others}), ClassSettings(), places).left_out
    assert images == "1 images without a label: the top folder (1)"
    assert files == (f"3 files of other formats: 2 .gif (b/1.gif, b/2.gif), 1 .txt (a/readme.txt); read are {SUFFIXES}")


def test_a_picture_beside_the_class_folders_refuses_nothing_however_small_it_is_packed(write_archive, places):
    archive = write_archive(PAIR)
    with ZipFile(archive.file.path(places), "a", ZIP_DEFLATED) as opened:
        opened.writestr("white.png", bytes(2**21))
    assert extract.fn(archive, ClassSettings(), places).left_alone == 1


def test_class_folders_with_accents_are_found_in_either_form(write_archive, places):
    files = {"de\u0301faut/1.jpeg": b"one", "bon/2.jpeg": b"two"}
    record = extract.fn(write_archive(files), ClassSettings(defect="d\u00e9faut", good="bon"), places)
    assert {entry.label for entry in read_table(record.listing.path(places), Entry)} == {"d\u00e9faut", "bon"}


def test_other_class_names_are_settings(write_archive, places):
    record = extract.fn(
        write_archive({"bad/1.png": b"one", "good/2.png": b"two"}), ClassSettings(defect="bad", good="good"), places
    )
    assert [entry.label for entry in read_table(record.listing.path(places), Entry)] == ["bad", "good"]
    assert record.folders.classes == Classes(defect="bad", good="good")


def test_a_missing_image_and_a_changed_one_are_noticed_and_made_again(write_archive, places):
    archive = write_archive(PAIR)
    record = extract.fn(archive, ClassSettings(), places)
    first, second = (stored_path(entry, places) for entry in read_table(record.listing.path(places), Entry))
    first.unlink()
    assert record.damage(places) == f"{first} is missing"
    second.write_bytes(b"xxx")
    assert extract.fn(archive, ClassSettings(), places) == record
    assert record.damage(places) is None


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a/def_front/1.jpeg": b"one"}, "one class is empty: a has no image in ok_front/"),
        ({"README.md": b"text"}, "no folder holds images in just def_front/ and ok_front/"),
        ({**PAIR, "../outside.jpeg": b"evil"}, "has an empty part, '.' or '..' in its name"),
    ],
)
def test_an_archive_that_holds_no_data_set_leaves_nothing(write_archive, places, files, says):
    archive = write_archive(files)
    with pytest.raises(BadInput, match=says):
        extract.fn(archive, ClassSettings(), places)
    assert [path.name for path in places.data.iterdir()] == ["archives"]


def test_a_damaged_archive_leaves_nothing(write_archive, places, tmp_path):
    archive = write_archive({**PAIR, "a/train/ok_front/9.jpeg": b"0123456789" * 20})
    path = archive.file.path(places)
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780", 1))
    with pytest.raises(BadInput, match="damaged"):
        extract.fn(archive, ClassSettings(), places)
    assert [path.name for path in places.data.iterdir()] == ["archives"]
