"""Validate: good images become rows, bad ones are set aside with a reason, and nothing outside is touched."""

import os
from pathlib import Path

import pytest

from tasks.images.decoding import decode
from tasks.images.manifest import Entry, Refusal, Row, stored
from tasks.runs.config import Fetch, Validation
from tasks.runs.errors import BadInput
from tasks.runs.tables import read_table
from tasks.sources.arrivals import arrivals
from tasks.validate import refuse_too_many_bad, settle_labels, validate

LENIENT = Validation(max_bad_fraction=1)


@pytest.fixture
def validated(places, extracted):
    def run(folder: Path, *arriving: Path, validation: Validation = LENIENT):
        return validate.fn(extracted(folder), arrivals(Fetch(arrivals=arriving), places), validation, places)

    return run


def rows_of(manifest, places) -> list[Row]:
    return read_table(manifest.table.path(places), Row)


def refusals_of(manifest, places) -> list[Refusal]:
    return read_table(manifest.refused.path(places), Refusal)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_good_image_is_a_row(validated, dataset, places, photograph):
    manifest = validated(dataset({"train": 3, "test": 2}, size=(60, 48)))
    rows = rows_of(manifest, places)
    assert manifest.images == len(rows) == 10
    assert manifest.quarantined == 0
    assert {row.origin for row in rows} == {"base"}
    one = next(row for row in rows if row.path == "train/def_front/cast_0.jpeg")
    content = photograph(0, size=(60, 48), hole=True)
    assert stored(Entry(one.path, one.sha256), places).read_bytes() == content
    assert (one.label, one.published, one.width, one.height) == ("def_front", "train", 60, 48)
    assert one.brightness == pytest.approx(decode(content, ".jpeg", 40).pixels.mean(), abs=0.001)


@pytest.mark.parametrize(("suffix", "mode"), [(".jpeg", "RGB"), (".png", "RGBA"), (".png", "P"), (".png", "L")])
def test_colour_palette_and_transparency_are_taken(validated, dataset, suffix, mode):
    assert validated(dataset({"": 2}, suffix=suffix, mode=mode)).images == 4


BAD = {
    "empty.jpeg": (lambda photo: b"", "empty"),
    "page.jpeg": (lambda photo: b"<!DOCTYPE html><html>Sign in</html>", "signature"),
    "cut.jpeg": (lambda photo: photo()[:-2], "undecodable"),
    "really-a-png.jpeg": (lambda photo: photo(form="PNG"), "signature"),
    "deep.png": (lambda photo: photo(form="PNG", mode="I;16"), "mode"),
    "inks.jpeg": (lambda photo: photo(mode="CMYK"), "mode"),
    "picture.bmp": (lambda photo: photo(form="BMP"), "not_an_image"),
    "huge.jpeg": (lambda photo: photo(size=(400, 400)), "megapixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_set_aside_with_its_reason(validated, dataset, places, photograph, name):
    make, code = BAD[name]
    folder = dataset({"": 2})
    content = make(photograph)
    (folder / "ok_front" / name).write_bytes(content)
    manifest = validated(folder, validation=Validation(max_bad_fraction=1, max_megapixels=0.1))
    assert (manifest.images, manifest.quarantined) == (4, 1)
    (refusal,) = refusals_of(manifest, places)
    assert (refusal.path, refusal.origin, refusal.code) == (f"ok_front/{name}", "base", code)
    (copy,) = (places.data / "quarantine" / code).iterdir()
    assert copy.name == f"{refusal.sha256[:16]}-{name}"
    assert copy.read_bytes() == content


def test_a_blank_image_is_set_aside(validated, dataset, places):
    from PIL import Image

    folder = dataset({"": 2})
    Image.new("L", (48, 48), 130).save(folder / "ok_front" / "blank.png")
    (refusal,) = refusals_of(validated(folder), places)
    assert refusal.code == "blank"
    assert refusal.reason.startswith("its grey levels deviate by 0.00, at least 2 is expected")
    assert validated(folder, validation=Validation(max_bad_fraction=1, min_deviation=0)).quarantined == 0


def test_a_very_long_name_can_be_set_aside(validated, dataset, places):
    folder = dataset({"": 2})
    (folder / "ok_front" / f"{'ü' * 120}.jpeg").write_bytes(b"no image")
    assert validated(folder).quarantined == 1


def test_names_that_need_care_come_through(validated, dataset, places, photograph):
    folder = dataset({"": 2})
    for number, name in enumerate(['a,b"c.jpeg', " leading.jpeg", "Größe 1|2.jpeg", "=1+1.jpeg"]):
        (folder / "ok_front" / name).write_bytes(photograph(100 + number))
    manifest = validated(folder)
    assert {Path(row.path).name for row in rows_of(manifest, places)} >= {
        'a,b"c.jpeg',
        " leading.jpeg",
        "Größe 1|2.jpeg",
    }


def test_nothing_outside_is_changed(validated, dataset, places):
    folder, arrival = dataset({"train": 2, "test": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    (arrival / "ok_front" / "broken.jpeg").write_bytes(b"no image")
    before = snapshot(folder), snapshot(arrival)
    validated(folder, arrival)
    assert (snapshot(folder), snapshot(arrival)) == before


def test_an_arrival_is_an_origin_of_its_own_and_is_copied(validated, dataset, places):
    folder, arrival = dataset({"": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    manifest = validated(folder, arrival)
    rows = [row for row in rows_of(manifest, places) if row.origin == "line 2"]
    assert [(row.path, row.published) for row in rows] == [
        (f"{label}/cast_{number}.jpeg", "") for label in ("def_front", "ok_front") for number in (0, 1)
    ]
    for path in arrival.rglob("*.jpeg"):
        path.unlink()
    assert manifest.damage(places) is None


def test_a_damaged_copy_of_an_arrival_is_noticed_and_made_again(validated, dataset, places):
    folder, arrival = dataset({"": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    manifest = validated(folder, arrival)
    row = next(row for row in rows_of(manifest, places) if row.origin == "line 2")
    copy = stored(row, places)
    copy.write_bytes(b"overwritten")
    assert manifest.damage(places) == f"{copy} has changed"
    assert validated(folder, arrival) == manifest
    assert manifest.damage(places) is None


def test_equal_files_with_both_labels_in_the_source_end_the_run_and_both_are_named(validated, dataset):
    folder = dataset({"train": 2, "test": 2})
    (folder / "test/ok_front/twin.jpeg").write_bytes((folder / "train/def_front/cast_0.jpeg").read_bytes())
    with pytest.raises(BadInput) as told:
        validated(folder)
    assert "1 pairs of equal files carry both labels" in str(told.value)
    assert "test/ok_front/twin.jpeg" in str(told.value)
    assert "train/def_front/cast_0.jpeg" in str(told.value)


def test_an_arriving_file_that_contradicts_a_label_is_set_aside(validated, dataset, places):
    folder, arrival = dataset({"": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    (arrival / "ok_front/twin.jpeg").write_bytes((folder / "def_front/cast_0.jpeg").read_bytes())
    manifest = validated(folder, arrival)
    (refusal,) = refusals_of(manifest, places)
    assert (refusal.origin, refusal.path, refusal.code) == ("line 2", "ok_front/twin.jpeg", "label_conflict")
    assert refusal.reason == "labelled ok_front, but base/def_front/cast_0.jpeg has equal content as def_front"
    assert manifest.images == 8


def test_equal_files_with_one_label_are_all_kept(validated, dataset):
    folder, arrival = dataset({"": 2}), dataset({"": 2}, name="line 2")  # equal seeds, equal bytes
    manifest = validated(folder, arrival)
    assert (manifest.images, manifest.quarantined) == (8, 0)


def row(path: str, content: str, label: str, origin: str) -> Row:
    return Row(path, content, label, origin, "", 48, 48, 120.0)


def test_of_two_arrivals_that_contradict_each_other_the_first_counts():
    rows = [row("a", "x", "def_front", "may"), row("b", "x", "ok_front", "june"), row("c", "x", "def_front", "july")]
    kept, refused = settle_labels(rows)
    assert [one.path for one in kept] == ["a", "c"]
    assert [(one.origin, one.path) for one in refused] == [("june", "b")]


def test_equal_paths_of_two_origins_are_not_mixed_up():
    rows = [
        row("ok/1", "x", "def_front", "may"),
        row("ok/1", "x", "ok_front", "june"),
        row("ok/1", "y", "ok_front", "july"),
    ]
    kept, refused = settle_labels(rows)
    assert [one.origin for one in kept] == ["may", "july"]
    assert [one.origin for one in refused] == ["june"]


def test_too_many_bad_files_end_the_run_and_the_first_is_named(validated, dataset):
    folder = dataset({"": 10})
    for name in ("a.jpeg", "b.jpeg"):
        (folder / "ok_front" / name).write_bytes(b"")
    with pytest.raises(
        BadInput,
        match=r"2 of 22 files of base cannot be used, at most 5\.0% may be so; the first: ok_front/a\.jpeg \(the file has no bytes\)",
    ):
        validated(folder, validation=Validation())


@pytest.mark.parametrize(("bad", "ends"), [(5, False), (6, True)])
def test_just_the_allowed_share_is_allowed(bad, ends):
    entries = [Entry(f"{number}", f"{number}") for number in range(100)]
    refusals = [Refusal(f"{number}", f"{number}", "base", "empty", "no bytes") for number in range(bad)]
    if ends:
        with pytest.raises(BadInput):
            refuse_too_many_bad(entries, refusals, Validation())
    else:
        refuse_too_many_bad(entries, refusals, Validation())


def test_a_good_source_does_not_make_up_for_a_bad_arrival():
    entries = [Entry(f"{number}", f"{number}") for number in range(100)] + [
        Entry(name, name, origin="line 2") for name in "xyz"
    ]
    bad = [Refusal(name, name, "line 2", "empty", "no bytes") for name in "xy"]
    with pytest.raises(BadInput, match="2 of 3 files of line 2"):
        refuse_too_many_bad(entries, bad, Validation())
    refuse_too_many_bad(entries, bad[:1], Validation())  # one file does not stop a small batch


def test_a_class_of_which_nothing_is_left_ends_the_run(validated, dataset):
    folder = dataset({"": 1})
    (folder / "def_front/cast_0.jpeg").write_bytes(b"no image")
    with pytest.raises(BadInput, match="no usable image of def_front is left"):
        validated(folder)


def test_when_the_disk_is_full_no_half_copy_is_left(extracted, dataset, places, monkeypatch):
    images = extracted(dataset({"": 2}))
    arriving = arrivals(Fetch(arrivals=(dataset({"": 1}, name="line 2", first_seed=50),)), places)
    before = snapshot(places.data)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(os, "fsync", full)
        validate.fn(images, arriving, LENIENT, places)
    assert snapshot(places.data) == before
