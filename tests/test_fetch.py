"""Fetch: a copy of the source below `data`, whole or not at all, and nothing outside is changed."""

import errno
import json
import os
import shutil
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from prefect.states import Failed

from tasks.fetch import fetch, is_network_trouble
from tasks.images.decoding import SUFFIXES
from tasks.pipeline.step_cache import as_text
from tasks.records.results import Source
from tasks.settings.errors import BadInput
from tasks.settings.settings import FetchSettings, SampleSettings, TilesSettings
from tasks.sources import folder_source
from tasks.sources.locate import KINDS, locate
from tasks.sources.names import Listing
from tasks.sources.synthetic import sample as drawing
from tasks.storage.files import sha256_of

TINY = SampleSettings(parts=8, train_images=16, test_images=8)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def fetch_source(places):
    def run(source: Path | str, sample: SampleSettings = TINY):
        return fetch.fn(locate(FetchSettings(source=str(source), sample=sample), places), places)

    return run


@pytest.fixture
def castings_zip(dataset, tmp_path):
    folder = dataset({"train": 2, "test": 1})
    with ZipFile(tmp_path / "castings.zip", "w") as archive:
        for path in folder.rglob("*.jpeg"):
            archive.write(path, path.relative_to(folder))
    return tmp_path / "castings.zip"


def test_a_folder_becomes_a_zip_of_its_files(fetch_source, dataset, places):
    folder = dataset({"train": 2, "test": 1})
    (folder / "train/ok_front/.DS_Store").write_bytes(b"junk")
    before = snapshot(folder)
    archive = fetch_source(folder)
    with ZipFile(archive.file.path(places)) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    images = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpeg")}
    assert files == images
    assert snapshot(folder) == before


def test_equal_folders_give_an_equal_archive_wherever_and_whenever(fetch_source, dataset, tmp_path):
    folder = dataset({"train": 2, "test": 1})
    first = fetch_source(folder)
    shutil.copytree(folder, tmp_path / "elsewhere")
    os.utime(tmp_path / "elsewhere/train/ok_front/cast_0.jpeg", (10, 10))
    assert fetch_source(tmp_path / "elsewhere") == first


def test_a_zip_is_copied_as_it_is(fetch_source, castings_zip, places):
    before = castings_zip.read_bytes(), castings_zip.stat().st_mtime_ns
    archive = fetch_source(castings_zip)
    assert (castings_zip.read_bytes(), castings_zip.stat().st_mtime_ns) == before
    assert archive.file.path(places).read_bytes() == before[0]
    assert archive.file.sha256 == sha256_of(castings_zip)
    assert archive.bytes == len(before[0])
    castings_zip.unlink()
    assert archive.damage(places) is None


def test_a_renamed_zip_is_the_same_source(castings_zip, places, tmp_path):
    first = locate(FetchSettings(source=str(castings_zip)), places)
    second = locate(FetchSettings(source=str(castings_zip.rename(tmp_path / "other name.zip"))), places)
    assert second.name == "other name.zip"
    assert as_text(first) == as_text(second)


def test_a_moved_folder_is_the_same_source_and_one_more_file_another(dataset, places, photograph):
    folder = dataset({"train": 2, "test": 1})
    first = locate(FetchSettings(source=str(folder)), places)
    moved = folder.rename(folder.with_name("moved"))
    assert as_text(locate(FetchSettings(source=str(moved)), places)) == as_text(first)
    (moved / "train/ok_front/new.jpeg").write_bytes(photograph(77))
    assert as_text(locate(FetchSettings(source=str(moved)), places)) != as_text(first)


def test_the_sample_is_drawn_the_same_each_time(fetch_source, places):
    archive = fetch_source("sample")
    with ZipFile(archive.file.path(places)) as packed:
        assert len(packed.namelist()) == 24
    assert fetch_source("sample") == archive


def test_the_tiles_are_drawn_with_settings_of_their_own(fetch_source, places):
    source = locate(FetchSettings(source="sample:tiles", sample=TINY, tiles=TilesSettings(parts=8)), places)
    assert (source.name, source.sample) == ("sample:tiles", TilesSettings(parts=8))
    stored = Source.model_validate({"name": source.name, **json.loads(source.model_dump_json())})
    assert (stored.sample, stored.identity) == (source.sample, source.identity)
    assert source.identity != locate(FetchSettings(sample=TINY), places).identity


def test_the_settings_of_the_sample_identify_it(places):
    other = FetchSettings(sample=TINY.model_copy(update={"seed": 1}))
    assert as_text(locate(FetchSettings(sample=TINY), places)) != as_text(locate(other, places))
    assert as_text(locate(FetchSettings(sample=TINY), places)) == as_text(
        locate(FetchSettings(sample=SampleSettings(**TINY.model_dump())), places)
    )


@pytest.mark.parametrize("kind", ["sample", "zip", "folder"])
def test_when_fetching_fails_nothing_half_written_is_left(
    fetch_source, dataset, castings_zip, places, monkeypatch, kind
):
    def broken(*arguments: object, **_: object) -> None:
        target = next(one for one in reversed(arguments) if isinstance(one, Path))
        target.write_bytes(b"half a zip")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tasks.sources.folder_source.pack", broken)
    monkeypatch.setattr(shutil, "copyfile", broken)
    monkeypatch.setattr(drawing, "write_sample", broken)
    with pytest.raises(OSError, match="No space"):
        fetch_source({"sample": "sample", "zip": castings_zip, "folder": castings_zip.with_name("castings")}[kind])
    assert list((places.data / "archives").iterdir()) == []


def test_an_odd_name_and_other_formats_in_a_folder_are_told_and_the_rest_goes_on(dataset, places, photograph):
    folder = dataset({"train": 2, "test": 1})
    images = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpeg"))
    for name in (
        "train/ok_front/\udcff.jpeg",
        "train/ok_front/a\n.jpeg",
        "train/\udcfe/1.jpeg",
        "notes.gif",
        "cover.png",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(photograph(900))
    source = locate(FetchSettings(source=str(folder)), places)
    assert list(source.names) == images
    assert list(source.left_out) == [
        f"{folder}: 'train/ok_front/a\\n.jpeg' has the invisible character U+000A in its name: rename it",
        f"{folder}: 'train/ok_front/\\udcff.jpeg' has a name that is not UTF-8: rename it",
        f"{folder}: 'train/\\udcfe' has a name that is not UTF-8: rename it",
        "1 images without a label: the top folder (1)",
        f"1 files of other formats: 1 .gif (notes.gif); read are {SUFFIXES}",
    ]


def test_images_of_a_zip_that_would_grow_too_much_are_refused_before_any_work(castings_zip, places):
    with ZipFile(castings_zip, "a", ZIP_DEFLATED) as archive:
        archive.writestr("white.png", bytes(2**21))
    assert locate(FetchSettings(source=str(castings_zip)), places).kind == "zip"
    with ZipFile(castings_zip, "a", ZIP_DEFLATED) as archive:
        archive.writestr("train/ok_front/white.png", bytes(2**21))
    with pytest.raises(BadInput, match=r"'train/ok_front/white\.png' would grow from .* at most 100-fold is taken"):
        locate(FetchSettings(source=str(castings_zip)), places)


def test_a_file_that_no_photograph_is_as_large_as_costs_itself_alone(fetch_source, dataset, places):
    folder = dataset({"train": 2, "test": 1})
    with open(folder / "train/ok_front/huge.jpeg", "wb") as sparse:
        sparse.truncate(64 * 2**20 + 1)
    with ZipFile(fetch_source(folder).file.path(places)) as packed:
        assert len(packed.namelist()) == 6
    assert locate(FetchSettings(source=str(folder)), places).left_out == (
        "train/ok_front/huge.jpeg is larger than 67,108,864 bytes",
    )


def test_a_large_photograph_of_a_folder_is_taken(fetch_source, dataset):
    folder = dataset({"train": 2, "test": 1})
    (folder / "train/ok_front/large.png").write_bytes(bytes(2**21))
    assert fetch_source(folder).bytes > 2**21


def test_the_name_of_a_source_is_printable(castings_zip, places, tmp_path):
    source = castings_zip.rename(tmp_path / "cast\n\x1bings.zip")
    assert locate(FetchSettings(source=str(source)), places).name == "cast\\n\\x1bings.zip"


@pytest.mark.parametrize("kind", ["a folder", "a file of it", "a zip"])
def test_a_source_that_vanishes_after_the_look_is_told_in_one_line(dataset, castings_zip, places, kind):
    folder = dataset({"train": 2, "test": 1})
    source = locate(FetchSettings(source=str(castings_zip if kind == "a zip" else folder)), places)
    if kind == "a folder":
        shutil.rmtree(folder)
    elif kind == "a zip":
        castings_zip.unlink()
    else:
        (folder / "train/ok_front/cast_0.jpeg").unlink()
    with pytest.raises(BadInput, match=r"cannot be read"):
        fetch.fn(source, places)
    assert not list(places.data.rglob("*.zip"))


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_source_that_its_disk_gives_up_is_told_in_one_line(castings_zip, places, monkeypatch, code):
    source = locate(FetchSettings(source=str(castings_zip)), places)

    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code), str(castings_zip))

    monkeypatch.setattr("tasks.sources.zip_source.shutil.copyfile", fails)
    with pytest.raises(BadInput, match=f"{castings_zip} cannot be read any more .*start again when"):
        fetch.fn(source, places)


def test_a_full_disk_is_no_fault_of_the_source(castings_zip, places, monkeypatch):
    source = locate(FetchSettings(source=str(castings_zip)), places)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(castings_zip))

    monkeypatch.setattr("tasks.sources.zip_source.shutil.copyfile", full)
    with pytest.raises(OSError, match="No space"):
        fetch.fn(source, places)


def test_a_file_that_vanishes_during_the_look_is_told_in_one_line(dataset, places, monkeypatch):
    folder, listed = dataset({"": 2}), folder_source.usable_files

    def usable(path: Path, listing: Listing) -> Listing:
        found = listed(path, listing)
        (folder / "ok_front/cast_1.jpeg").unlink()
        return found

    monkeypatch.setattr(folder_source, "usable_files", usable)
    with pytest.raises(BadInput, match=r"cast_1\.jpeg cannot be read any more"):
        locate(FetchSettings(source=str(folder)), places)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sample", "sample"),
        ("sample:tiles", "sample"),
        ("kaggle:acme/castings", "kaggle"),
        ("kaggle:", "kaggle"),
        ("castings", "folder"),
        ("castings.zip", "zip"),
    ],
)
def test_each_text_of_a_source_has_its_kind(castings_zip, monkeypatch, text, kind):
    monkeypatch.chdir(castings_zip.parent)
    (castings_zip.parent / "sample").mkdir()  # the word stands for the built-in one
    assert next(name for name, source in KINDS.items() if source.recognizes(text)) == kind


@pytest.mark.parametrize("text", ["castings.rar", "sample:bolts", "a" * 300, "kaggl:acme/castings"])
def test_a_source_that_is_not_there_is_refused_with_the_forms_that_are_read(places, text):
    with pytest.raises(
        BadInput, match=f"there is no source '{text}': give `sample` .*, `sample:tiles` .*, a zip file, .*SLUG"
    ):
        locate(FetchSettings(source=text), places)


@pytest.mark.parametrize(
    ("fault", "tried"), [(ConnectionResetError("cut"), True), (BadInput("no"), False), (OSError(28, "full"), False)]
)
def test_only_a_fault_that_may_pass_by_itself_is_tried_again(fault, tried):
    assert is_network_trouble(fetch, None, Failed(data=fault)) == tried
