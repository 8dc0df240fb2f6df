"""Results: records are small, frozen and readable, and name their files."""

import hashlib
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.records.results import (
    Archive,
    Arrival,
    ClassFolders,
    Corrections,
    Evaluation,
    Exports,
    Figure,
    Figures,
    ImageFolder,
    Manifest,
    Model,
    Origin,
    Release,
    Source,
    Spread,
    damaged_image,
)
from tasks.records.rows import Entry, Row, stored_name, stored_path
from tasks.settings.settings import Classes
from tasks.storage.files import File, store, write_whole
from tasks.storage.tables import store_table

ORIGIN = Origin(
    name="base",
    files_found=2,
    known=0,
    quarantined=0,
    by_class={"ok_front": 2},
    sizes={"48 x 48": 2},
    brightness=Spread(low=120, median=120, high=120),
    sharpness=None,
)


@pytest.fixture
def file(places):
    def make(name: str) -> File:
        return store(lambda path: path.write_text(name), places, "data", f"{name}.txt")

    return make


def test_a_record_knows_its_files_directly_in_tuples_and_in_records_within(file):
    one, two = file("one"), file("two")
    assert list(Archive(file=one, bytes=3).files()) == [one]
    assert list(Exports(digest="aa", contents=(one, two)).files()) == [one, two]
    figures = Figures(figures=tuple(Figure(name="a", title="a", caption="a", file=each) for each in (one, two)))
    assert list(figures.files()) == [one, two]


def test_a_record_with_a_missing_file_is_damaged_wherever_it_names_it(file, places):
    one, two = file("one"), file("two")
    figures = Figures(figures=tuple(Figure(name="a", title="a", caption="a", file=each) for each in (one, two)))
    assert figures.damage(places) is None
    two.path(places).unlink()
    assert figures.damage(places) == f"{two.path(places)} is missing"
    assert Exports(digest="aa", contents=(one, two)).damage(places) == f"{two.path(places)} is missing"


def test_an_evaluation_looks_after_its_predictions_and_its_decision(evaluation, places):
    assert [file.name.split("/")[0] for file in evaluation.files()] == ["tables", "decisions"]
    evaluation.decision.path(places).write_text("{}")
    assert evaluation.damage(places).endswith("has changed")


def test_a_folder_is_damaged_when_one_of_its_images_is(places, tmp_path):
    entries = []
    contents = [b"one", b"two"]
    for content in contents:
        made = store(lambda path, content=content: path.write_bytes(content), places, "data", "x.jpeg")
        entries.append(Entry("ok/1.jpeg", made.sha256))
        write_whole(stored_path(entries[-1], places), content)
    mask = Entry("ok/1.png", store(lambda path: path.write_bytes(b"mask"), places, "data", "x.png").sha256)
    entries[0] = entries[0]._replace(mask=stored_name(mask))
    write_whole(stored_path(mask, places), b"mask")
    listing = store_table("listing", entries, Entry, places)
    folder = ImageFolder(listing=listing, folders=ClassFolders(), files_found=2, left_alone=0, junk=0)
    assert folder.damage(places) is None
    stored_path(mask, places).write_bytes(b"must")
    assert folder.damage(places) == f"{stored_path(mask, places)} has changed"
    stored_path(entries[1], places).write_bytes(b"tw")
    assert folder.damage(places) == f"{stored_path(entries[1], places)} has changed"
    listing.path(places).unlink()
    assert folder.damage(places) == f"{listing.path(places)} is missing"


def test_a_manifest_looks_after_the_copies_of_what_arrived_alone(places):
    rows = [
        Row("ok/1.jpeg", name * 32, "ok_front", origin, "", 48, 48, 120.0, 118.0, 4.5)
        for name, origin in (("aa", "base"), ("bb", "line 2"))
    ]
    table = store_table("manifest", rows, Row, places)
    manifest = Manifest(
        table=table,
        refused=table,
        corrected=table,
        classes=Classes(),
        images=2,
        quarantined=0,
        corrections_unused=0,
        origins=(ORIGIN,),
    )
    assert manifest.damage(places) == f"{stored_path(rows[1], places)} is missing"
    assert list(manifest.files()) == [table] * 3


def test_a_changed_image_that_looks_as_old_as_before_is_noticed(places):
    """As after a restored backup, or a bad sector that was copied with its times."""
    entry = Entry("ok/1.jpeg", hashlib.sha256(b"one").hexdigest())
    path = stored_path(entry, places)
    write_whole(path, b"one")
    before = path.stat()
    assert damaged_image([entry], places) is None
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert damaged_image([entry], places) == f"{path} has changed"


def test_where_something_lay_outside_is_not_written_down():
    source = Source(kind="zip", identity="aa", name="parts.zip", path=Path("/home/me/parts.zip"))
    assert source.model_dump_json() == '{"kind":"zip","identity":"aa","sample":null}'
    arrival = Arrival(origin="line 2", identity="bb", path=Path("/home/me/line 2"), names=("ok/1.jpeg",), unsettled=1)
    assert arrival.model_dump_json() == '{"origin":"line 2","identity":"bb"}'
    assert Corrections(identity="cc", path=Path("/home/me/corrections.csv")).model_dump_json() == '{"identity":"cc"}'


def test_records_come_back_from_json(model, evaluation):
    release = Release(verdict="kept", reason="no", version=None, champion_before=None, decided_in="run 1")
    for record in (model, evaluation, release, ORIGIN):
        assert type(record).model_validate_json(record.model_dump_json()) == record
    assert isinstance(model, Model)
    assert isinstance(evaluation, Evaluation)


def test_records_are_frozen(model):
    with pytest.raises(ValidationError, match="frozen"):
        model.images = 1


def test_no_record_names_a_place_outright(model, evaluation, places):
    for record in (model, evaluation):
        assert str(places.data.parent) not in record.model_dump_json()
