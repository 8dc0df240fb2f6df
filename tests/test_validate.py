"""Validate: good images become rows, bad ones are set aside with a reason, and nothing outside is touched."""

import io
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tasks import validate as verb
from tasks.dataset.corrections import Correction, find_corrections
from tasks.dataset.labels import Corrected
from tasks.images import decoding, statistics
from tasks.images.decoding import decode
from tasks.inbox.arrivals import find_arrivals
from tasks.records.results import ClassFolders, Corrections, Manifest
from tasks.records.rows import Entry, Refusal, Row, stored_path
from tasks.settings.errors import BadInput
from tasks.settings.settings import Classes, FetchSettings, ValidationSettings
from tasks.storage.files import sha256_of
from tasks.storage.tables import read_table
from tasks.validate import refuse_too_many_bad, validate

LENIENT = ValidationSettings(max_bad_fraction=1)


@pytest.fixture
def validate_folder(places, extract_source):
    def run(folder: Path, *arriving: Path, validation: ValidationSettings = LENIENT) -> Manifest:
        new = find_arrivals(FetchSettings(arrivals=arriving, settle_seconds=0), ClassFolders(), places)
        return validate.fn(extract_source(folder), new, find_corrections(Classes(), places), validation, places)

    return run


@pytest.fixture
def correct(places):
    """Writes `corrections.csv`: (content, correction) -> because."""

    def write(*lines: tuple[Path, str]) -> None:
        places.data.mkdir(exist_ok=True)
        table = [f"{sha256_of(path)},{correction},because" for path, correction in lines]
        (places.data / "corrections.csv").write_text("\n".join(["sha256,correction,why", *table]))

    return write


@pytest.fixture
def decoded_contents(monkeypatch) -> list[bytes]:
    """The contents that are decoded."""
    found: list[bytes] = []

    def watched(content: bytes, *rest: object, **named: object) -> object:
        found.append(content)
        return decode(content, *rest, **named)

    monkeypatch.setattr(statistics, "decode", watched)
    return found


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


def test_every_good_image_is_a_row(validate_folder, dataset, places, photograph):
    manifest = validate_folder(dataset({"train": 3, "test": 2}, size=(60, 48)))
    rows = rows_of(manifest, places)
    assert manifest.images == len(rows) == 10
    assert manifest.quarantined == 0
    assert {row.origin for row in rows} == {"base"}
    one = next(row for row in rows if row.path == "train/def_front/cast_0.jpeg")
    content = photograph(0, size=(60, 48), hole=True)
    assert stored_path(Entry(one.path, one.sha256), places).read_bytes() == content
    assert (one.label, one.published, one.width, one.height) == ("def_front", "train", 60, 48)
    assert one.brightness == pytest.approx(decode(content, ".jpeg", 40).pixels.mean(), abs=0.5)
    assert 0 < one.border < 255
    assert one.sharpness > 0


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        (".jpeg", "RGB"), (".png", "RGBA"), (".png", "P"), (".png", "L"), (".png", "I;16"), (".bmp", "RGB"), (".tif", "I;16"),
        (".tiff", "RGBA"), (".webp", "RGB"),
    ],
)  # fmt: skip
def test_colour_palette_and_transparency_are_taken(validate_folder, dataset, suffix, mode):
    assert validate_folder(dataset({"": 2}, suffix=suffix, mode=mode)).images == 4


def two_pages(content: bytes) -> bytes:
    """Return a TIFF that holds a picture twice."""
    file, picture = io.BytesIO(), Image.open(io.BytesIO(content))
    picture.save(file, "TIFF", save_all=True, append_images=[picture])
    return file.getvalue()


BAD = {
    "empty.jpeg": (lambda photo: b"", "empty"),
    "page.jpeg": (lambda photo: b"<!DOCTYPE html><html>Sign in</html>", "signature"),
    "bare.png": (lambda photo: photo(form="PNG")[:33] + photo(form="PNG")[-12:], "undecodable"),
    "comments.jpeg": (lambda photo: photo()[:2] + b"\xff\xfe\0\2" * 5_000 + photo()[2:], "costly"),
    "cut.jpeg": (lambda photo: photo()[:-2], "undecodable"),
    "really-a-gif.jpeg": (lambda photo: photo(form="GIF"), "signature"),
    "pages.tiff": (lambda photo: two_pages(photo()), "pages"),
    "inks.jpeg": (lambda photo: photo(mode="CMYK"), "mode"),
    "picture.gif": (lambda photo: photo(form="GIF"), "not_an_image"),
    "huge.jpeg": (lambda photo: photo(size=(400, 400)), "megapixels"),
    "narrow.jpeg": (lambda photo: photo(size=(200, 31)), "too_small"),
    "heavy.jpeg": (lambda photo: photo() + bytes(70_000), "too_large"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_set_aside_with_its_reason(validate_folder, dataset, places, photograph, monkeypatch, name):
    make, code = BAD[name]
    monkeypatch.setattr(decoding, "MAX_BYTES", 60_000)
    folder = dataset({"": 2})
    content = make(photograph)
    (folder / "ok_front" / name).write_bytes(content)
    manifest = validate_folder(folder, validation=ValidationSettings(max_bad_fraction=1, max_megapixels=0.1))
    assert (manifest.images, manifest.quarantined) == (4, 1)
    (refusal,) = refusals_of(manifest, places)
    assert (refusal.path, refusal.origin, refusal.code) == (f"ok_front/{name}", "base", code)
    (copy,) = (places.data / "quarantine" / code).iterdir()
    assert copy.name == f"{refusal.sha256[:16]}-{name}"
    assert copy.read_bytes() == content


def test_a_blank_image_is_set_aside(validate_folder, dataset, places):
    folder = dataset({"": 2})
    Image.new("L", (48, 48), 130).save(folder / "ok_front" / "blank.png")
    (refusal,) = refusals_of(validate_folder(folder), places)
    assert refusal.code == "blank"
    assert refusal.reason.startswith("its gray levels deviate by 0.00, at least 2 is expected")
    assert validate_folder(folder, validation=ValidationSettings(max_bad_fraction=1, min_deviation=0)).quarantined == 0


def test_the_least_side_is_a_setting(validate_folder, dataset, places):
    folder = dataset({"": 2}, size=(48, 32))
    assert validate_folder(folder).quarantined == 0
    with pytest.raises(BadInput, match=r"48 x 32 pixels, at least 33 a side are expected"):
        validate_folder(folder, validation=ValidationSettings(min_side=33))


def test_a_picture_that_viewers_turn_is_used_as_stored_and_counted(validate_folder, dataset, places, capsys):
    folder = dataset({"": 2})
    picture = Image.open(folder / "ok_front/cast_0.jpeg")
    exif = picture.getexif()
    exif[decoding.EXIF_ORIENTATION] = 6
    picture.save(folder / "ok_front/turned.jpeg", exif=exif)
    assert validate_folder(folder).images == 5
    said = "validate: 1 images of base are shown turned by viewers (EXIF orientation); they are used as stored"
    assert said in capsys.readouterr().out.splitlines()


def test_only_new_files_are_decoded(validate_folder, dataset, places, decoded_contents):
    folder, arrival = dataset({"": 3}), dataset({"": 2}, name="line 2", first_seed=50)
    first = validate_folder(folder)
    assert len(decoded_contents) == 6
    validate_folder(folder, arrival)
    assert len(decoded_contents) == 10
    assert validate_folder(folder) == first
    assert len(decoded_contents) == 10


def test_settings_that_judge_a_picture_decode_none_again(validate_folder, dataset, decoded_contents):
    folder = dataset({"": 3})
    validate_folder(folder)
    validate_folder(folder, validation=ValidationSettings(min_deviation=1, min_side=16, max_bad_fraction=0.2))
    assert len(decoded_contents) == 6
    validate_folder(folder, validation=ValidationSettings(max_megapixels=1))
    assert len(decoded_contents) == 12, "it guards the decoding"


def test_equal_files_are_decoded_once(validate_folder, dataset, decoded_contents):
    folder = dataset({"": 3})
    for number in range(5):
        shutil.copyfile(folder / "ok_front/cast_0.jpeg", folder / f"ok_front/copy_{number}.jpeg")
    assert validate_folder(folder).images == 11
    assert len(decoded_contents) == 6


def test_a_very_long_name_can_be_set_aside(validate_folder, dataset, places):
    folder = dataset({"": 2})
    (folder / "ok_front" / f"{'ü' * 120}.jpeg").write_bytes(b"no image")
    assert validate_folder(folder).quarantined == 1


def test_names_that_need_care_come_through(validate_folder, dataset, places, photograph):
    folder = dataset({"": 2})
    for number, name in enumerate(['a,b"c.jpeg', " leading.jpeg", "Größe 1|2.jpeg", "=1+1.jpeg"]):
        (folder / "ok_front" / name).write_bytes(photograph(100 + number))
    manifest = validate_folder(folder)
    assert {Path(row.path).name for row in rows_of(manifest, places)} >= {
        'a,b"c.jpeg',
        " leading.jpeg",
        "Größe 1|2.jpeg",
    }


def test_nothing_outside_is_changed(validate_folder, dataset, places):
    folder, arrival = dataset({"train": 2, "test": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    (arrival / "ok_front" / "broken.jpeg").write_bytes(b"no image")
    before = snapshot(folder), snapshot(arrival)
    validate_folder(folder, arrival)
    assert (snapshot(folder), snapshot(arrival)) == before


def test_an_arrival_is_an_origin_of_its_own_and_is_copied(validate_folder, dataset, places):
    folder, arrival = dataset({"": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    manifest = validate_folder(folder, arrival)
    rows = [row for row in rows_of(manifest, places) if row.origin == "line 2"]
    assert [(row.path, row.published) for row in rows] == [
        (f"{label}/cast_{number}.jpeg", "") for label in ("def_front", "ok_front") for number in (0, 1)
    ]
    for path in arrival.rglob("*.jpeg"):
        path.unlink()
    assert manifest.damage(places) is None


def test_a_damaged_copy_of_an_arrival_is_noticed_and_made_again(validate_folder, dataset, places):
    folder, arrival = dataset({"": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    manifest = validate_folder(folder, arrival)
    row = next(row for row in rows_of(manifest, places) if row.origin == "line 2")
    copy = stored_path(row, places)
    copy.write_bytes(b"overwritten")
    assert manifest.damage(places) == f"{copy} has changed"
    assert validate_folder(folder, arrival) == manifest
    assert manifest.damage(places) is None


def test_equal_files_with_both_labels_in_the_source_end_the_run_and_the_way_out_is_told(validate_folder, dataset):
    folder = dataset({"train": 2, "test": 2})
    (folder / "test/ok_front/twin.jpeg").write_bytes((folder / "train/def_front/cast_0.jpeg").read_bytes())
    with pytest.raises(BadInput) as told:
        validate_folder(folder)
    assert "1 pairs of equal files carry both labels" in str(told.value)
    assert "test/ok_front/twin.jpeg" in str(told.value)
    assert "train/def_front/cast_0.jpeg" in str(told.value)
    line = f"{sha256_of(folder / 'test/ok_front/twin.jpeg')},ok_front,WHY"
    assert (
        f"corrections.csv in the data folder (first line sha256,correction,why), by a line for each content such as {line}"
        in str(told.value)
    )


def test_an_arriving_file_that_contradicts_a_label_is_set_aside(validate_folder, dataset, places):
    folder, arrival = dataset({"": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    (arrival / "ok_front/twin.jpeg").write_bytes((folder / "def_front/cast_0.jpeg").read_bytes())
    manifest = validate_folder(folder, arrival)
    (refusal,) = refusals_of(manifest, places)
    assert (refusal.origin, refusal.path, refusal.code) == ("line 2", "ok_front/twin.jpeg", "label_conflict")
    assert refusal.reason == "labeled ok_front, but base/def_front/cast_0.jpeg has equal content as def_front"
    assert manifest.images == 8


def test_an_arrival_that_repeats_known_images_adds_nothing(validate_folder, dataset, places, capsys):
    folder, arrival = dataset({"": 2}), dataset({"": 3}, name="line 2", first_seed=50)
    for label in ("def_front", "ok_front"):
        shutil.copyfile(folder / label / "cast_0.jpeg", arrival / label / "again.jpeg")
    manifest = validate_folder(folder, arrival)
    assert (manifest.images, manifest.quarantined) == (10, 0)
    assert not [row for row in rows_of(manifest, places) if row.path.endswith("again.jpeg")]
    assert [(one.name, one.files_found, one.known) for one in manifest.origins] == [("base", 4, 0), ("line 2", 8, 2)]
    said = "validate: 2 files of line 2 repeat images of earlier origins, and add nothing"
    assert said in capsys.readouterr().out.splitlines()


def test_an_arrival_of_nothing_but_known_images_is_no_error(validate_folder, dataset, places):
    folder, arrival = dataset({"": 2}), dataset({"": 2}, name="line 2")  # equal seeds, equal bytes
    manifest = validate_folder(folder, arrival)
    assert manifest.images == 4
    base, line = manifest.origins
    assert (line.known, line.by_class, line.sizes, line.brightness, line.sharpness) == (4, {}, {}, None, None)
    assert base.brightness


def test_every_file_of_an_origin_is_accepted_known_or_quarantined(
    validate_folder, dataset, places, photograph, correct
):
    folder = dataset({"train": 2, "test": 2}, size=(60, 48))
    arrival = dataset({"": 3}, name="line 2", first_seed=50)
    (arrival / "ok_front/broken.jpeg").write_bytes(b"no image")
    (arrival / "ok_front/wide.jpeg").write_bytes(photograph(90, size=(64, 48)))
    shutil.copyfile(folder / "train/ok_front/cast_0.jpeg", arrival / "ok_front/again.jpeg")
    shutil.copyfile(folder / "train/ok_front/cast_1.jpeg", arrival / "def_front/against.jpeg")
    correct((arrival / "def_front/cast_0.jpeg", "exclude"))
    manifest = validate_folder(folder, arrival)
    base, line = manifest.origins
    assert (base.files_found, base.known, base.quarantined) == (8, 0, 0)
    assert (base.by_class, base.sizes) == ({"def_front": 4, "ok_front": 4}, {"60 x 48": 8})
    assert (line.files_found, line.known, line.quarantined) == (10, 1, 3)
    assert (line.by_class, line.sizes) == ({"def_front": 2, "ok_front": 4}, {"48 x 48": 5, "64 x 48": 1})
    assert list(line.sizes) == ["48 x 48", "64 x 48"]
    brightness = sorted(row.brightness for row in rows_of(manifest, places) if row.origin == "line 2")
    assert brightness[0] <= line.brightness.low <= line.brightness.median <= line.brightness.high <= brightness[-1]
    assert line.brightness.median == pytest.approx((brightness[2] + brightness[3]) / 2, abs=0.001)
    assert Counter(one.code for one in refusals_of(manifest, places)) == {
        "signature": 1, "label_conflict": 1, "excluded": 1,
    }  # fmt: skip


def corrected_of(manifest: Manifest, places) -> list[Corrected]:
    return read_table(manifest.corrected.path(places), Corrected)


def test_an_excluded_image_is_listed_and_not_copied_to_the_bad_ones(
    validate_folder, dataset, places, correct, decoded_contents
):
    folder = dataset({"": 3})
    victim = folder / "ok_front/cast_1.jpeg"
    shutil.copyfile(victim, folder / "ok_front/copy.jpeg")
    correct((victim, "exclude"))
    manifest = validate_folder(folder, validation=ValidationSettings(max_bad_fraction=0))
    assert (manifest.images, manifest.quarantined, manifest.corrections_unused) == (5, 2, 0)
    sha256 = sha256_of(victim)
    assert refusals_of(manifest, places) == [
        Refusal(f"ok_front/{name}.jpeg", sha256, "base", "excluded", "because") for name in ("cast_1", "copy")
    ]
    assert corrected_of(manifest, places) == [
        Corrected(f"ok_front/{name}.jpeg", "base", sha256, "ok_front", "exclude", "because")
        for name in ("cast_1", "copy")
    ]
    assert not (places.data / "quarantine").exists()
    assert victim.read_bytes() not in decoded_contents


def test_excluded_files_do_not_end_a_run_however_many_and_make_no_others_tolerable(validate_folder, dataset, correct):
    folder = dataset({"": 10})
    bad = [folder / f"ok_front/bad_{number}.jpeg" for number in range(4)]
    for number, path in enumerate(bad):
        path.write_bytes(b"no image %d" % number)
    correct(*((path, "exclude") for path in bad))
    assert validate_folder(folder, validation=ValidationSettings()).quarantined == 4
    correct(*((path, "exclude") for path in bad[:2]))
    with pytest.raises(BadInput, match=r"2 of 22 files of base cannot be used"):
        validate_folder(folder, validation=ValidationSettings())


def test_a_label_is_mended_wherever_the_content_occurs(validate_folder, dataset, places, correct):
    folder, arrival = dataset({"": 3}), dataset({"": 1}, name="line 2", first_seed=50)
    wrong = arrival / "def_front/cast_0.jpeg"
    correct((wrong, "ok_front"), (folder / "def_front/cast_0.jpeg", "def_front"))
    manifest = validate_folder(folder, arrival)
    rows = {(row.origin, row.path): row.label for row in rows_of(manifest, places)}
    assert rows["line 2", "def_front/cast_0.jpeg"] == "ok_front"
    assert Counter(rows.values()) == {"def_front": 3, "ok_front": 5}
    assert corrected_of(manifest, places) == [
        Corrected("def_front/cast_0.jpeg", "line 2", sha256_of(wrong), "def_front", "ok_front", "because")
    ], "what is right already was not corrected"


@pytest.mark.parametrize("label", ["def_front", "ok_front"])
def test_both_kinds_of_conflict_are_mended_without_touching_the_files(validate_folder, dataset, places, correct, label):
    folder, arrival = dataset({"train": 2, "test": 2}), dataset({"": 2}, name="line 2", first_seed=50)
    inside, across = folder / "train/def_front/cast_0.jpeg", folder / "train/def_front/cast_1.jpeg"
    shutil.copyfile(inside, folder / "test/ok_front/twin.jpeg")
    shutil.copyfile(across, arrival / "ok_front/twin.jpeg")
    correct((inside, label), (across, label))
    manifest = validate_folder(folder, arrival)
    assert manifest.quarantined == 0
    labels = {row.label for row in rows_of(manifest, places) if row.sha256 in (sha256_of(inside), sha256_of(across))}
    assert labels == {label}
    assert manifest.origins[1].known == 1


def test_excluding_a_contradictory_content_settles_it_too(validate_folder, dataset, correct):
    folder = dataset({"train": 2, "test": 2})
    shutil.copyfile(folder / "train/def_front/cast_0.jpeg", folder / "test/ok_front/twin.jpeg")
    correct((folder / "test/ok_front/twin.jpeg", "exclude"))
    assert validate_folder(folder).images == 7


def test_corrections_of_other_images_are_counted_and_said(validate_folder, dataset, correct, capsys):
    folder, other = dataset({"": 2}), dataset({"": 1}, name="other", first_seed=70)
    correct(
        (other / "ok_front/cast_0.jpeg", "exclude"),
        (other / "def_front/cast_0.jpeg", "ok_front"),
        (folder / "ok_front/cast_0.jpeg", "def_front"),
    )
    assert validate_folder(folder).corrections_unused == 2
    said = "validate: 1 files corrected; 2 corrections are of images that this run does not have"
    assert said in capsys.readouterr().out.splitlines()


def test_without_corrections_and_novelties_one_line_is_said(validate_folder, dataset, capsys):
    validate_folder(dataset({"": 2}))
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("validate: ")]
    assert said == ["validate: 4 images accepted, 0 quarantined"]


def test_corrections_that_changed_since_they_were_looked_at_end_the_run(extract_source, dataset, places, correct):
    folder = dataset({"": 2})
    correct((folder / "ok_front/cast_0.jpeg", "def_front"))
    looked = find_corrections(Classes(), places)
    correct((folder / "ok_front/cast_1.jpeg", "def_front"))
    with pytest.raises(BadInput, match=r"corrections\.csv changed while it was read"):
        validate.fn(extract_source(folder), (), looked, LENIENT, places)


def test_an_arrival_that_changed_since_it_was_looked_at_ends_the_run(extract_source, dataset, places, photograph):
    images, arrival = extract_source(dataset({"": 2})), dataset({"": 2}, name="line 2", first_seed=50)
    new = find_arrivals(FetchSettings(arrivals=(arrival,), settle_seconds=0), ClassFolders(), places)
    (arrival / "ok_front/later.jpeg").write_bytes(photograph(60))
    assert validate.fn(images, new, Corrections(), LENIENT, places).images == 8, "what came later is not looked at"
    (arrival / "ok_front/cast_0.jpeg").write_bytes(photograph(61))
    with pytest.raises(BadInput, match="line 2 changed while it was read"):
        validate.fn(images, new, Corrections(), LENIENT, places)
    (arrival / "ok_front/cast_0.jpeg").unlink()
    with pytest.raises(BadInput, match="vanished while it was read"):
        validate.fn(images, new, Corrections(), LENIENT, places)


def test_a_file_that_changes_while_it_is_copied_ends_the_run_and_is_not_kept(
    extract_source, dataset, places, photograph, monkeypatch
):
    images, arrival = extract_source(dataset({"": 2})), dataset({"": 2}, name="line 2", first_seed=50)
    new = find_arrivals(FetchSettings(arrivals=(arrival,), settle_seconds=0), ClassFolders(), places)
    before = snapshot(places.data / "images")

    def slow(source: Path, target: Path) -> None:
        target.write_bytes(photograph(61))

    monkeypatch.setattr(verb.shutil, "copyfile", slow)
    with pytest.raises(BadInput, match="line 2 changed while it was read"):
        validate.fn(images, new, Corrections(), LENIENT, places)
    assert snapshot(places.data / "images") == before


def test_too_many_bad_files_end_the_run_and_the_first_is_named(validate_folder, dataset):
    folder = dataset({"": 10})
    for name in ("a.jpeg", "b.jpeg"):
        (folder / "ok_front" / name).write_bytes(b"")
    with pytest.raises(
        BadInput,
        match=r"2 of 22 files of base cannot be used, at most 5\.0% may be so; the first: ok_front/a\.jpeg \(the file has no bytes\)",
    ):
        validate_folder(folder, validation=ValidationSettings())


@pytest.mark.parametrize(("bad", "ends"), [(5, False), (6, True)])
def test_just_the_allowed_share_is_allowed(bad, ends):
    entries = [Entry(f"{number}", f"{number}") for number in range(100)]
    refusals = [Refusal(f"{number}", f"{number}", "base", "empty", "no bytes") for number in range(bad)]
    if ends:
        with pytest.raises(BadInput):
            refuse_too_many_bad(entries, refusals, ValidationSettings())
    else:
        refuse_too_many_bad(entries, refusals, ValidationSettings())


def test_a_good_source_does_not_make_up_for_a_bad_arrival():
    entries = [Entry(f"{number}", f"{number}") for number in range(100)] + [
        Entry(name, name, origin="line 2") for name in "xyz"
    ]
    bad = [Refusal(name, name, "line 2", "empty", "no bytes") for name in "xy"]
    with pytest.raises(BadInput, match="2 of 3 files of line 2"):
        refuse_too_many_bad(entries, bad, ValidationSettings())
    refuse_too_many_bad(entries, bad[:1], ValidationSettings())  # one file does not stop a small batch


def test_where_no_good_part_is_left_the_run_ends(validate_folder, dataset):
    folder = dataset({"": 1})
    (folder / "ok_front/cast_0.jpeg").write_bytes(b"no image")
    with pytest.raises(BadInput, match="no usable image of ok_front is left: every network learns from good parts"):
        validate_folder(folder)


def test_where_no_defect_is_left_the_good_parts_are_rows(validate_folder, dataset, places):
    """Whether a network needs defects is known when the images are divided."""
    folder = dataset({"": 1})
    (folder / "def_front/cast_0.jpeg").write_bytes(b"no image")
    manifest = validate_folder(folder)
    assert [row.label for row in rows_of(manifest, places)] == ["ok_front"]
    assert manifest.classes == Classes()


def test_when_the_disk_is_full_no_half_copy_is_left(extract_source, dataset, places, monkeypatch):
    images = extract_source(dataset({"": 2}))
    folder = dataset({"": 1}, name="line 2", first_seed=50)
    arriving = find_arrivals(FetchSettings(arrivals=(folder,), settle_seconds=0), ClassFolders(), places)
    before = snapshot(places.data / "images")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(verb.shutil, "copyfile", full)
        validate.fn(images, arriving, Corrections(), LENIENT, places)
    assert snapshot(places.data / "images") == before
    assert not list(places.data.rglob("*.scratch"))


@pytest.fixture
def moved_labels(dataset):
    """(source, a delivery, the same delivery again): of its ten photographs four lie in the other class folder."""
    may = dataset({"": 5}, name="may", first_seed=50)
    june = Path(shutil.copytree(may, may.parent / "june"))
    for label, other in (("def_front", "ok_front"), ("ok_front", "def_front")):
        for number in (1, 2):
            (june / label / f"cast_{number}.jpeg").rename(june / other / f"mended_{number}.jpeg")
    return dataset({"": 3}), may, june


def labels_of(manifest, places) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for row in rows_of(manifest, places):
        labels.setdefault(row.sha256, set()).add(row.label)
    return labels


def test_a_delivery_that_comes_again_with_mended_labels_is_no_damage(validate_folder, moved_labels, places, capsys):
    folder, may, june = moved_labels
    manifest = validate_folder(folder, may, june, validation=ValidationSettings())
    assert labels_of(manifest, places) == labels_of(validate_folder(folder, may), places), (
        "the earlier labels hold, one a photograph"
    )
    line = manifest.origins[2]
    assert (line.name, line.known, line.quarantined) == ("june", 6, 4)
    assert {one.code for one in refusals_of(manifest, places)} == {"label_conflict"}
    assert not (places.data / "quarantine").exists(), "the photographs are sound"
    said = capsys.readouterr().out
    assert "validate: 4 photographs came again with another label" in said
    assert "june/def_front/mended_1.jpeg is def_front, may/ok_front/cast_1.jpeg is ok_front" in said
    assert f"all such lines: {manifest.label_changes.path(places)}" in said


def test_the_lines_that_are_named_take_the_later_labels(validate_folder, moved_labels, places):
    folder, may, june = moved_labels
    lines = validate_folder(folder, may, june).label_changes.path(places)
    shutil.copyfile(lines, places.data / "corrections.csv")
    manifest = validate_folder(folder, may, june)
    expected = {sha256_of(path): {path.parent.name} for path in june.rglob("*.jpeg")}
    assert labels_of(manifest, places).items() >= expected.items()
    assert (manifest.quarantined, len(corrected_of(manifest, places))) == (0, 4)
    assert manifest.label_changes is None


def test_of_two_labels_in_one_delivery_one_is_learned_and_both_are_named(validate_folder, dataset, places):
    folder, arrival = dataset({"": 2}), dataset({"": 4}, name="line 2", first_seed=50)
    for number in range(3):
        shutil.copyfile(arrival / f"def_front/cast_{number}.jpeg", arrival / f"ok_front/twin_{number}.jpeg")
    manifest = validate_folder(folder, arrival, validation=ValidationSettings())
    assert all(len(labels) == 1 for labels in labels_of(manifest, places).values())
    assert len(read_table(manifest.label_changes.path(places), Correction)) == 3


def test_mended_labels_do_not_make_damage_tolerable(validate_folder, moved_labels):
    folder, may, june = moved_labels
    for name in ("a.jpeg", "b.jpeg"):
        (june / "ok_front" / name).write_bytes(b"")
    with pytest.raises(BadInput, match=r"2 of 12 files of june cannot be used"):
        validate_folder(folder, may, june, validation=ValidationSettings())


def test_an_arriving_file_that_vanishes_before_it_is_copied_ends_the_run_in_one_line(
    extract_source, dataset, places, monkeypatch
):
    images, arrival = extract_source(dataset({"": 2})), dataset({"": 2}, name="line 2", first_seed=50)
    new = find_arrivals(FetchSettings(arrivals=(arrival,), settle_seconds=0), ClassFolders(), places)
    read = verb.entries_of

    def entries_of(*words):
        entries = read(*words)
        shutil.rmtree(arrival / "ok_front")
        return entries

    monkeypatch.setattr(verb, "entries_of", entries_of)
    with pytest.raises(BadInput, match=r"line 2/ok_front/cast_\d\.jpeg cannot be read any more"):
        validate.fn(images, new, Corrections(), LENIENT, places)
