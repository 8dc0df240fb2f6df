"""Model folder: it is named by what decides, lists all its files, and is stored whole or not at all."""

import shutil

import pytest
from conftest import write_untrained_model

from tasks.inference import model_folder
from tasks.inference.predictor import Predictor
from tasks.records.rows import Content
from tasks.settings.errors import BadInput
from tasks.storage.files import store, tree_digest
from tasks.storage.tables import store_table
from tasks.tracking.registry import Version


@pytest.fixture
def exports(model, evaluation, places):
    return write_untrained_model(model, evaluation, places)


def list_models(places):
    return sorted(path.name for path in (places.artifacts / "models").iterdir())


def test_it_lists_all_its_files_and_is_named_by_those_that_decide(exports, places):
    folder = model_folder.path(exports.digest, places)
    assert model_folder.read(folder) == model_folder.load_intact(folder, places) == exports
    assert {file.path(places).name for file in exports.contents} == {"model.keras", "decision.json", "model.tflite"}
    assert model_folder.identity(folder) == exports.digest
    (folder / "savedmodel").mkdir()
    (folder / "card.md").write_text("what does not decide")
    assert model_folder.identity(folder) == exports.digest
    (folder / "model.tflite").write_bytes(b"another")
    assert model_folder.identity(folder) != exports.digest


@pytest.mark.parametrize("part", ["network", "decision"])
def test_another_network_or_another_decision_is_another_folder(model, evaluation, places, exports, part):
    other = store(lambda path: path.write_bytes(b"other"), places, "data", "other.bin")
    if part == "network":
        second = write_untrained_model(model.model_copy(update={"file": other}), evaluation, places)
    else:
        second = write_untrained_model(model, evaluation.model_copy(update={"decision": other}), places)
    assert list_models(places) == sorted([exports.digest, second.digest])


def test_the_images_that_it_learnt_from_are_known_where_they_are_listed(model, evaluation, places, exports):
    assert model_folder.training_digests(exports.digest, places) == frozenset()
    learnt = store_table("learnt", [Content("aa"), Content("bb")], Content, places)
    second = write_untrained_model(model.model_copy(update={"learnt": learnt}), evaluation, places)
    assert model_folder.training_digests(second.digest, places) == {"aa", "bb"}
    assert second.digest != exports.digest


@pytest.mark.parametrize("fault", ["a file changed", "a file missing", "list torn", "list missing"])
def test_a_damaged_folder_does_not_stand_and_is_put_right(model, evaluation, places, exports, fault):
    folder = model_folder.path(exports.digest, places)
    path = folder / ("exports.json" if "list" in fault else "model.keras")
    path.unlink() if "missing" in fault else path.write_bytes(b"{")
    assert model_folder.load_intact(folder, places) is None
    assert write_untrained_model(model, evaluation, places) == exports
    assert model_folder.load_intact(folder, places) == exports


def test_a_torn_list_is_bad_input_that_names_the_file(exports, places):
    folder = model_folder.path(exports.digest, places)
    (folder / "exports.json").write_text("{")
    with pytest.raises(BadInput, match=r"exports\.json is damaged"):
        model_folder.is_verified(folder, "litert")


def test_a_format_is_believed_only_when_it_is_the_compared_file_and_changed_no_decision(exports, places):
    folder = model_folder.path(exports.digest, places)
    assert model_folder.is_verified(folder, "litert")
    assert not model_folder.is_verified(folder, "savedmodel"), "nobody compared it"
    changed = exports.formats["litert"].model_copy(update={"changed_decisions": 1})
    (folder / "exports.json").write_text(exports.model_copy(update={"formats": {"litert": changed}}).model_dump_json())
    assert not model_folder.is_verified(folder, "litert")
    (folder / "exports.json").write_text(exports.model_dump_json())
    (folder / "model.tflite").write_bytes(b"another")
    assert not model_folder.is_verified(folder, "litert")


def spoil(folder, what: str) -> str:
    """Change a model's folder in one way, and return the name of the file that is no more what was released."""
    name = {"network": "model.keras", "format": "model.tflite", "list": "exports.json"}.get(what, "decision.json")
    if what == "file gone":
        (folder / name).unlink()
    elif what == "file added":
        name = "images.csv"
        (folder / name).write_text("sha256\n")
    elif what == "list":
        listed = model_folder.read(folder)
        (folder / name).write_text(listed.model_copy(update={"digest": "ab" * 32}).model_dump_json())
    elif what == "list torn":
        name = "exports.json"
        (folder / name).write_text("{")
    else:
        (folder / name).write_bytes((folder / name).read_bytes().replace(b"0.5", b"0.9") + b" ")
    return name


SPOILED = ["decision", "network", "format", "file gone", "file added", "list", "list torn"]


@pytest.mark.parametrize("copied", [False, True], ids=["in its place", "copied"])
@pytest.mark.parametrize("what", SPOILED)
def test_a_folder_that_was_edited_is_refused_in_one_line_that_names_the_file(exports, places, tmp_path, what, copied):
    folder = model_folder.path(exports.digest, places)
    if copied:
        folder = shutil.copytree(folder, tmp_path / "a copy")
    assert model_folder.verify(folder) == exports.digest
    name = spoil(folder, what)
    with pytest.raises(BadInput, match="this is not the model as it was released") as refused:
        model_folder.verify(folder)
    assert "\n" not in str(refused.value)
    expected = "decision.json" if (what, copied) == ("list", True) else name
    assert (str(folder / name) if expected == name else str(folder)) in str(refused.value)


def test_what_does_not_decide_may_change(exports, places):
    folder = model_folder.path(exports.digest, places)
    (folder / "README.md").write_text("a note")
    (folder / ".DS_Store").write_bytes(b"left by a desktop")
    assert model_folder.verify(folder) == exports.digest


def test_a_copy_without_its_list_cannot_be_checked_and_is_refused(exports, places, tmp_path):
    folder = shutil.copytree(model_folder.path(exports.digest, places), tmp_path / "copy")
    (folder / "exports.json").unlink()
    with pytest.raises(BadInput, match=r"copy/exports\.json is missing, which says what was released"):
        model_folder.verify(folder)


def test_a_folder_of_old_that_lists_nothing_is_known_by_its_name(exports, places):
    folder = model_folder.path(exports.digest, places)
    (folder / "exports.json").unlink()
    assert model_folder.verify(folder) == exports.digest
    (folder / "decision.json").write_text("{}")
    with pytest.raises(BadInput, match="has changed"):
        model_folder.verify(folder)


@pytest.mark.parametrize("name", ["in its place", "copy"])
def test_no_predictor_is_made_of_a_folder_that_was_edited(exports, places, tmp_path, name):
    folder = model_folder.path(exports.digest, places)
    folder = folder if name == "in its place" else shutil.copytree(folder, tmp_path / name)
    assert Predictor(folder).digest == exports.digest
    path = folder / "decision.json"
    path.write_text(path.read_text().replace('"threshold":0.5', '"threshold":0.999'))
    with pytest.raises(BadInput, match=r"decision\.json has changed"):
        Predictor(folder)


def test_a_network_alone_is_no_model(tmp_path, exports, places):
    (tmp_path / "alone").mkdir()
    shutil.copyfile(model_folder.path(exports.digest, places) / "model.keras", tmp_path / "alone/model.keras")
    with pytest.raises(BadInput, match=r"a folder with model\.keras and decision\.json is expected"):
        Predictor(tmp_path / "alone")


@pytest.fixture
def stored_folder(tmp_path):
    """What MLflow stores of a version, as `runs.serve` lays it out."""
    folder = tmp_path / "stored"
    for name in ("MLmodel", "code/tasks/__init__.py", "code/tasks/inference/pyfunc.py", "data/ab/model.keras"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


@pytest.fixture
def version(stored_folder, monkeypatch):
    """A version of which the registry has `stored`."""
    monkeypatch.setattr(
        model_folder.stored_files,
        "fetch_model",
        lambda number, inside, target, places: shutil.copytree(stored_folder, target, symlinks=True),
    )
    return Version(
        number=3,
        model="ab" * 32,
        run_id="",
        reason="",
        champion_before=None,
        tracked="",
        stored=tree_digest(stored_folder),
    )


def test_what_mlflow_serves_is_a_checked_copy_without_caches(version, stored_folder, places, tmp_path):
    for folder in (stored_folder / "code/tasks", stored_folder / "code/tasks/inference"):
        (folder / "__pycache__/__pycache__").mkdir(parents=True)
        (folder / "__pycache__/served.cpython-311.pyc").write_bytes(b"what would run in place of the code")
    model_folder.fetch_servable(version, tmp_path / "copy", places)
    assert tree_digest(tmp_path / "copy") == version.stored


def tamper(stored_folder, how: str) -> None:
    code = stored_folder / "code/tasks/inference/pyfunc.py"
    if how == "code changed":
        code.write_text("import os")
    elif how == "code added":
        (stored_folder / "code/numpy.py").write_text("import os")
    elif how == "code gone":
        code.unlink()
    elif how == "code renamed":
        code.rename(stored_folder / "code/tasks/inference/other.py")
    elif how == "compiled code added":
        (stored_folder / "code/tasks/served.pyc").write_bytes(b"")
    elif how == "another loader":
        (stored_folder / "MLmodel").write_text("flavors: {python_function: {loader_module: os}}")
    elif how == "another network":
        (stored_folder / "data/ab/model.keras").write_text("other")
    elif how == "a link to code":
        (stored_folder / "code/more").symlink_to(stored_folder.parent)


TAMPERED = [
    "code changed", "code added", "code gone", "code renamed", "compiled code added", "another loader", "another network",
    "a link to code",
]  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_what_was_changed_in_the_registry_is_not_served(version, stored_folder, places, tmp_path, how):
    tamper(stored_folder, how)
    with pytest.raises(BadInput, match=r"version 3 in .* have changed since they were released, and are not used"):
        model_folder.fetch_servable(version, tmp_path / "copy", places)


def test_a_version_of_old_is_wrapped_anew_and_its_own_code_is_not_used(version, places, exports, tmp_path, monkeypatch):
    old = version.model_copy(update={"stored": None, "model": exports.digest})
    wrapped = []
    monkeypatch.setattr(model_folder.stored_files, "fetch_model", lambda *_: pytest.fail("its code is fetched"))
    monkeypatch.setattr(model_folder.runs, "write_servable", lambda *given: wrapped.append(given))
    model_folder.fetch_servable(old, tmp_path / "copy", places)
    assert wrapped == [(model_folder.path(exports.digest, places), tmp_path / "copy", "")]
