"""Export: a model's folder is complete, named by its content, and never changed."""

import shutil

import pytest

from tasks.export import export
from tasks.images.manifest import Content
from tasks.models import decisions
from tasks.runs.files import damage, digest_of_folder, store
from tasks.runs.tables import store_table


def models(places):
    return sorted(path.name for path in (places.artifacts / "models").iterdir())


def test_the_folder_holds_all_that_prediction_needs(model, evaluation, places):
    exports = export.fn(model, evaluation, places)
    folder = places.artifacts / "models" / exports.digest
    assert sorted(path.name for path in folder.iterdir()) == ["decision.json", "model.keras"]
    assert models(places) == [exports.digest]
    assert exports.damage(places) is None
    assert [file.path(places).parent for file in exports.contents] == [folder.absolute()] * 2
    decision = decisions.read(folder / "decision.json")
    assert damage(folder / "model.keras", decision.network_sha256) is None


def test_the_images_that_it_learnt_from_are_listed_where_they_are_known(model, evaluation, places):
    learnt = store_table("learnt", [Content("aa"), Content("bb")], Content, places)
    exports = export.fn(model.model_copy(update={"learnt": learnt}), evaluation, places)
    folder = places.artifacts / "models" / exports.digest
    assert sorted(path.name for path in folder.iterdir()) == ["decision.json", "images.csv", "model.keras"]
    assert (folder / "images.csv").read_text() == "sha256\naa\nbb\n"
    assert digest_of_folder(folder) == exports.digest


def test_the_same_model_is_the_same_folder_and_is_not_written_again(model, evaluation, places):
    first = export.fn(model, evaluation, places)
    numbers = [file.path(places).stat().st_ino for file in first.contents]
    assert export.fn(model, evaluation, places) == first
    assert [file.path(places).stat().st_ino for file in first.contents] == numbers


@pytest.mark.parametrize("part", ["network", "decision"])
def test_another_network_or_another_decision_is_another_folder(model, evaluation, places, part):
    first = export.fn(model, evaluation, places)
    other = store(lambda path: path.write_bytes(b"other"), places, "data", "other.bin")
    if part == "network":
        second = export.fn(model.model_copy(update={"file": other}), evaluation, places)
    else:
        second = export.fn(model, evaluation.model_copy(update={"decision": other}), places)
    assert second.digest != first.digest
    assert models(places) == sorted([first.digest, second.digest])


@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_a_damaged_folder_is_put_right(model, evaluation, places, fault):
    exports = export.fn(model, evaluation, places)
    path = exports.contents[1].path(places)
    if fault == "changed":
        path.write_bytes(b"")
    else:
        shutil.rmtree(path.parent)
    assert exports.damage(places)
    assert export.fn(model, evaluation, places) == exports
    assert exports.damage(places) is None


def test_when_copying_fails_no_folder_can_be_seen(model, evaluation, places, monkeypatch):
    copy = shutil.copyfile

    def broken(source, target):
        if target.name == "model.keras":
            target.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        copy(source, target)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(shutil, "copyfile", broken)
        export.fn(model, evaluation, places)
    assert models(places) == []
    export.fn(model, evaluation, places)
    assert len(models(places)) == 1
