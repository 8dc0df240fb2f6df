"""Bundle: a model's folder is named by what decides, lists all it holds, and is whole or not there."""

import pytest
from conftest import foldered

from tasks.images.manifest import Content
from tasks.models import bundle
from tasks.runs.errors import BadInput
from tasks.runs.files import store
from tasks.runs.tables import store_table


@pytest.fixture
def exports(model, evaluation, places):
    return foldered(model, evaluation, places)


def models(places):
    return sorted(path.name for path in (places.artifacts / "models").iterdir())


def test_it_lists_all_its_files_and_is_named_by_those_that_decide(exports, places):
    folder = bundle.of(exports.digest, places)
    assert bundle.read(folder) == bundle.standing(folder, places) == exports
    assert {file.path(places).name for file in exports.contents} == {"model.keras", "decision.json", "model.tflite"}
    assert bundle.identity(folder) == exports.digest
    (folder / "savedmodel").mkdir()
    (folder / "card.md").write_text("what does not decide")
    assert bundle.identity(folder) == exports.digest
    (folder / "model.tflite").write_bytes(b"another")
    assert bundle.identity(folder) != exports.digest


@pytest.mark.parametrize("part", ["network", "decision"])
def test_another_network_or_another_decision_is_another_folder(model, evaluation, places, exports, part):
    other = store(lambda path: path.write_bytes(b"other"), places, "data", "other.bin")
    if part == "network":
        second = foldered(model.model_copy(update={"file": other}), evaluation, places)
    else:
        second = foldered(model, evaluation.model_copy(update={"decision": other}), places)
    assert models(places) == sorted([exports.digest, second.digest])


def test_the_images_that_it_learnt_from_are_known_where_they_are_listed(model, evaluation, places, exports):
    assert bundle.learnt(exports.digest, places) == frozenset()
    learnt = store_table("learnt", [Content("aa"), Content("bb")], Content, places)
    second = foldered(model.model_copy(update={"learnt": learnt}), evaluation, places)
    assert bundle.learnt(second.digest, places) == {"aa", "bb"}
    assert second.digest != exports.digest


@pytest.mark.parametrize("fault", ["a file changed", "a file missing", "list torn", "list missing"])
def test_a_damaged_folder_does_not_stand_and_is_put_right(model, evaluation, places, exports, fault):
    folder = bundle.of(exports.digest, places)
    path = folder / ("exports.json" if "list" in fault else "model.keras")
    path.unlink() if "missing" in fault else path.write_bytes(b"{")
    assert bundle.standing(folder, places) is None
    assert foldered(model, evaluation, places) == exports
    assert bundle.standing(folder, places) == exports


def test_a_torn_list_is_bad_input_that_names_the_file(exports, places):
    folder = bundle.of(exports.digest, places)
    (folder / "exports.json").write_text("{")
    with pytest.raises(BadInput, match=r"exports\.json is damaged"):
        bundle.agrees(folder, "litert")


def test_a_format_is_believed_only_when_it_is_the_compared_file_and_changed_no_decision(exports, places):
    folder = bundle.of(exports.digest, places)
    assert bundle.agrees(folder, "litert")
    assert not bundle.agrees(folder, "savedmodel"), "nobody compared it"
    changed = exports.formats["litert"].model_copy(update={"changed_decisions": 1})
    (folder / "exports.json").write_text(exports.model_copy(update={"formats": {"litert": changed}}).model_dump_json())
    assert not bundle.agrees(folder, "litert")
    (folder / "exports.json").write_text(exports.model_dump_json())
    (folder / "model.tflite").write_bytes(b"another")
    assert not bundle.agrees(folder, "litert")
