"""Retrain: the whole flow on a real server, what it caches, and what it refuses."""

import base64
import hashlib
import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import Touch, copy_places, write_dataset
from kaggle_emulator import Emulator
from prefect.settings import PREFECT_API_URL

from flows import retrain as flow
from tasks import crossfit
from tasks.pipeline.last_run import resolve_model
from tasks.records.results import ClassFolders, Release
from tasks.settings.cli import exit_status
from tasks.settings.errors import BadInput
from tasks.settings.settings import ChampionModel, Config, FetchSettings, Places, TrainingSettings
from tasks.sources.archive import pack
from tasks.sources.folder import walk
from tasks.tracking import registry
from tasks.training import fold_training

ROOT = Path(__file__).parents[1]
STEPS = ["fetch", "extract", "validate", "audit", "split", "train", "evaluate", "plot", "export", "release"]
BEFORE_TRAINING = STEPS[:5]
LOOSE = {"max_escape_rate": 1, "max_false_reject_rate": 1, "max_review_rate": 1, "beyond_baselines": False}


@pytest.fixture(scope="module")
def castings_zip(tmp_path_factory, photograph) -> Path:
    """Photographs in the published layout, one of the test also in train, and unsplit others beside them."""
    top = tmp_path_factory.mktemp("packed")
    folder = write_dataset(top, photograph, {"train": 24, "test": 8}, name="casting_data/casting_data")
    write_dataset(top, photograph, {"": 3}, name="casting_512x512/casting_512x512", first_seed=900)
    shutil.copyfile(folder / "test/ok_front/cast_0.jpeg", folder / "train/ok_front/cast_copy.jpeg")
    pack(top, [name for name in walk(top) if name.endswith(".jpeg")], top / "castings.zip")
    return top / "castings.zip"


@pytest.fixture
def archive(castings_zip, tmp_path) -> Path:
    return shutil.copyfile(castings_zip, tmp_path / "castings.zip")


@pytest.fixture(scope="module")
def trained_places(castings_zip, prefect_server, tensorflow, empty_registry, once) -> Places:
    """Places where the archive was trained on once."""

    def make(top: Path) -> Places:
        places = Places(data=top / "data", artifacts=top / "artifacts")
        places.artifacts.mkdir()
        shutil.copyfile(empty_registry, places.artifacts / "mlflow.db")
        retrain_briefly(castings_zip, places)
        return places

    return once("retrained", make)


@pytest.fixture
def first_run(trained_places, archive, places) -> dict:
    """`run.json` of the first run on the archive; its places are a copy of those where it was done."""
    copy_places(trained_places, places)
    return last_run(places)


@pytest.fixture
def run(prefect_server, tensorflow, registered, places):
    """Runs the flow and returns its `run.json`."""

    def run(source: Path | str, *, into=places, **sections: dict) -> dict:
        retrain_briefly(source, into, **sections)
        return last_run(into)

    return run


def retrain_briefly(source: Path | str, places: Places, **sections: dict) -> None:
    sections["training"] = {"epochs": 1, "image_size": 32, **sections.get("training", {})}
    sections["splitting"] = {"validation_fraction": 0.3, **sections.get("splitting", {})}
    sections["fetch"] = {"source": str(source), **sections.get("fetch", {})}
    flow.retrain(Config.model_validate({**sections, "places": places}))


def last_run(places: Places) -> dict:
    return json.loads((places.artifacts / "runs/latest/run.json").read_text())


def steps_run(facts: dict) -> list[str]:
    """The steps that were not remembered."""
    return [name for name, step in facts["steps"].items() if not step["cached"]]


def test_a_run_leaves_all_that_it_promises(first_run, places):
    assert list(first_run["steps"]) == STEPS == steps_run(first_run)
    data = first_run["dataset"]
    assert (
        data["images"],
        data["left_alone"],
        data["exact_copies_across_splits"],
        data["held_back_from_training"],
    ) == (65, 6, 1, 1)
    for sums in ("by_split", "by_class", "by_origin"):
        assert sum(data[sums].values()) == 65
    assert first_run["evaluation"]["test"]["images"] == 16
    folder = places.artifacts / "runs/latest"
    names = {path.relative_to(folder.resolve()).as_posix() for path in folder.resolve().rglob("*") if path.is_file()}
    pictures = {f"figures/{name}" for name in ("samples.jpeg", "learning.png", "confusion.png", "leak.jpeg")}
    cases = {f"figures/{name}.jpeg" for name in ("mistakes", "reviews", "found")}  # of which there may be none
    tables = {f"{name}.csv" for name in ("predictions", "audit", "splits", "castings", "quarantine", "corrections")}
    assert names - cases == {"run.json", "report.html", "model.txt"} | tables | pictures
    assert names & cases, "every defect is found, sent to a person, or a mistake"
    model = places.artifacts / "models" / first_run["model"]["folder"]
    assert {path.name for path in model.iterdir()} == {
        "model.keras",
        "README.md",
        "decision.json",
        "images.csv",
        "exports.json",
        "model.tflite",
        "savedmodel",
    }
    assert first_run["model"]["name"] == "patch"
    assert first_run["model"]["chosen_because"] == "images of 32 pixels were asked for"
    assert not list(places.data.glob("training/*"))


def test_what_has_not_changed_is_remembered_wherever_it_lies(run, first_run, archive, places, tmp_path):
    renamed = archive.rename(tmp_path / "another name.zip")
    renamed.touch()
    again = run(renamed)
    assert steps_run(again) == []
    moved = places.model_copy(update={"data": tmp_path / "moved/data", "artifacts": tmp_path / "moved/artifacts"})
    shutil.copytree(places.data, moved.data)
    shutil.copytree(places.artifacts, moved.artifacts, symlinks=True)
    elsewhere = run(renamed, into=moved)
    assert steps_run(elsewhere) == []
    assert elsewhere["model"] == first_run["model"]
    assert elsewhere["training"] == first_run["training"]


def test_a_setting_repeats_its_step_and_what_follows_alone(run, first_run, archive):
    assert steps_run(run(archive, training={"epochs": 2}))[:3] == ["train", "evaluate", "plot"]
    assert steps_run(run(archive, evaluation={"confidence": 0.9}))[0] == "evaluate"
    assert not set(steps_run(run(archive, acceptance={"max_escape_rate": 1}))) - {"release"}


def test_all_parts_are_judged_where_folds_are_asked_for_and_another_cost_trains_nothing(
    run, first_run, archive, places, monkeypatch
):
    assert first_run["crossfit"] is None
    monkeypatch.setattr(
        crossfit, "train_in_process", fold_training.train_fold
    )  # quicker; its own test starts a process
    facts = run(archive, crossfit={"folds": 2})
    assert steps_run(facts)[:2] == ["crossfit", "evaluate"], "the released network is trained as ever"
    assert list(facts["steps"]).index("crossfit") == list(facts["steps"]).index("train") - 1
    assert facts["crossfit"]["images"] == facts["dataset"]["images"] == sum(
        fold["images"] for fold in facts["crossfit"]["by_fold"]
    )  # fmt: skip
    assert facts["evaluation"]["temperature"] == facts["crossfit"]["temperature"]
    assert (places.artifacts / "runs/latest/out_of_fold.csv").read_text().count("\n") == facts["dataset"]["images"] + 1
    dearer = run(archive, crossfit={"folds": 2}, evaluation={"escape_cost": 30})
    assert steps_run(dearer)[0] == "evaluate"
    assert dearer["crossfit"]["reviews_decided"] >= facts["crossfit"]["reviews_decided"]
    assert not list(places.data.glob("training/*"))


@pytest.mark.parametrize("deleted", [0, 1])
@pytest.mark.parametrize(
    "patterns",
    [
        ("data/networks/*.keras", "data/images/*/*.jpeg"),
        ("artifacts/models/*/model.keras", "data/tables/manifest-*.csv"),
    ],
)
def test_a_file_that_was_harmed_is_said_and_made_again(run, first_run, archive, tmp_path, patterns, deleted, caplog):
    """Of two files of different steps one is deleted, and the other one is changed."""
    victims = [sorted(tmp_path.glob(pattern))[0] for pattern in patterns]
    before = [victim.read_bytes() for victim in victims]
    victims[deleted].unlink()
    victims[1 - deleted].write_bytes(b"other bytes")
    caplog.clear()
    run(archive)
    said = [message for message in caplog.messages if "made again" in message]
    for victim, content in zip(victims, before, strict=True):
        assert any(str(victim) in message for message in said)
        assert victim.read_bytes() == content


def test_a_record_that_was_forged_runs_nothing_and_is_said_and_made_again(
    run, first_run, archive, places, tmp_path, caplog
):
    fired = tmp_path / "fired"
    pickled = base64.encodebytes(pickle.dumps(Touch(fired))).decode()
    contents = {
        "fetch": {"metadata": {"serializer": {"type": "pickle"}}, "result": pickled},
        "split": {"metadata": {"serializer": {"type": "json"}}, "result": "null"},
        "evaluate": None,
    }
    for step, content in contents.items():
        (record,) = places.data.glob(f"cache/{step}-*")
        record.write_text(json.dumps(content))
    caplog.clear()
    assert steps_run(run(archive)) == list(contents)
    said = [message for message in caplog.messages if "made again" in message]
    assert [message.partition(":")[0] for message in said] == list(contents)
    assert steps_run(run(archive)) == []


def test_other_photographs_run_by_settings_alone(run, dataset):
    folder = dataset({"": 40}, defect="cracked", good="sound", suffix=".png", size=(64, 40), mode="RGB")
    facts = run(
        folder,
        fetch={"source": str(folder), "classes": {"defect": "cracked", "good": "sound"}},
        splitting={"test_fraction": 0.3},
    )
    assert facts["dataset"]["by_class"] == {"cracked": 40, "sound": 40}
    assert all(facts["dataset"]["by_split"][name] > 4 for name in ("train", "validation", "test"))


def test_the_inbox_is_an_origin_with_a_slice_of_its_own(run, first_run, archive, dataset):
    batch = dataset({"": 20}, name="data/inbox/line-2", first_seed=500)
    facts = run(archive, fetch={"settle_seconds": 0})
    assert facts["dataset"]["by_origin"] == {"base": 65, "line-2": 40}
    assert set(facts["evaluation"]["slices"]) == {"base", "line-2"}
    assert len(walk(batch)) == 40, "the inbox is the user's"


@pytest.fixture
def second_run(run, first_run, archive) -> dict:
    """`run.json` of a second run, which lets the first model come into use."""
    return run(archive, acceptance=LOOSE)


def test_a_run_that_continues_from_the_model_in_use_is_remembered_although_it_changes_that_model(
    run, second_run, archive, dataset
):
    dataset({"": 20}, name="data/inbox/line-2", first_seed=500)
    going_on = {"fetch": {"settle_seconds": 0}, "acceptance": LOOSE, "training": {"start_from": "champion", "seed": 5}}
    second = run(archive, **going_on)
    assert (second["training"]["started_from"], second["release"]["version"]) == (second_run["model"]["folder"], 2)
    assert steps_run(run(archive, **going_on)) == []


def test_drawn_parts_take_no_other_s_place(run, second_run, places):
    drawn = {"sample": {"parts": 16, "train_images": 64, "test_images": 16}}
    toy = run("sample", fetch=drawn, acceptance=LOOSE)
    assert (toy["release"]["verdict"], toy["release"]["version"]) == ("promoted", 1)
    assert toy["config"]["places"]["registered_model"] == "recast-sample"
    insisted = run("sample", into=places.with_model("recast"), fetch=drawn, acceptance=LOOSE)
    assert (insisted["release"]["verdict"], insisted["release"]["champion_before"]) == ("waiting", 1)
    assert steps_run(insisted) == ["release"]
    assert [registry.champion(places.with_model(name)).number for name in ("recast", "recast-sample")] == [1, 1]
    assert registry.champion(resolve_model(places)).run_id != toy["run_id"]


def test_a_kaggle_data_set_is_a_source_like_others(run, first_run, archive, monkeypatch, tmp_path):
    with Emulator(datasets={"alice/castings": {1: archive.read_bytes()}}) as kaggle:
        kaggle.serve(monkeypatch, tmp_path)
        facts = run("kaggle:alice/castings")
        assert facts["dataset"]["source"] == "kaggle:alice/castings/1"
        assert facts["dataset"]["images"] == 65
        downloads = len(kaggle.requests)
        assert steps_run(run("kaggle:alice/castings")) == []
        assert len(kaggle.requests) == downloads + 1, "the version is asked, nothing more"
    offline = run("kaggle:alice/castings")
    assert offline["dataset"]["source"] == "kaggle:alice/castings/1"


def test_bad_images_end_the_run_in_one_line_and_leave_no_run(run, dataset, places, caplog):
    folder = dataset({"train": 8, "test": 4})
    for path in sorted(folder.rglob("*.jpeg"))[:10]:
        path.write_bytes(b"<html>not here</html>")
    with caplog.at_level(logging.ERROR), pytest.raises(BadInput, match="10 of 24 files of base cannot be used"):
        run(folder)
    assert not (places.artifacts / "runs").exists()
    for record in caplog.records:
        assert not record.exc_info, record.getMessage()


def broken_arguments(tmp_path: Path, archive: Path, fault: str) -> list[str]:
    """Arguments that are wrong in one way."""
    path = tmp_path / "wrong.zip"
    if fault == "cut zip":
        path.write_bytes(archive.read_bytes()[:-500])
    elif fault == "no zip":
        path.write_text("a page")
    elif fault in ("no class folders", "one class empty"):
        with zipfile.ZipFile(path, "w") as target:
            target.writestr("train/def_front/a.jpeg" if fault == "one class empty" else "train/other/a.jpeg", b"x")
    return {
        "missing file": ["--source", str(tmp_path / "none.zip")],
        "unknown source": ["--source", "kagle:a/b"],
        "wrong slug": ["--source", "kaggle:a/b/c/d"],
        "bad option": ["--epoch-count", "3"],
        "bad value": ["--epochs", "many"],
        "another size of the tutorial": ["--model", "tutorial", "--image-size", "64"],
        "missing arrivals": ["--source", str(archive), "--arrivals", str(tmp_path / "none")],
        "no GPU": ["--source", str(archive), "--require-gpu"],
        "no ImageNet weights": ["--source", str(archive), "--model", "backbone"],
    }.get(fault, ["--source", str(path)])


FAULTS = [
    "missing file", "no zip", "cut zip", "no class folders", "one class empty", "unknown source", "wrong slug", "bad option", "bad value",
    "another size of the tutorial", "missing arrivals",
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_input_is_one_line_and_leaves_nothing(fault, tmp_path, archive, monkeypatch, capsys):
    ends_in_one_line(fault, tmp_path, archive, monkeypatch, capsys)


def test_a_missing_gpu_is_one_line_and_leaves_nothing(tensorflow, tmp_path, archive, monkeypatch, capsys):
    monkeypatch.setattr("tasks.networks.gpu_diagnosis.why_no_gpu", lambda: "no driver: install it")
    ends_in_one_line("no GPU", tmp_path, archive, monkeypatch, capsys)


@pytest.mark.usefixtures("keras_cache")
def test_missing_imagenet_weights_are_one_line_and_leave_nothing(tmp_path, archive, monkeypatch, capsys):
    assert "put the file at" in ends_in_one_line("no ImageNet weights", tmp_path, archive, monkeypatch, capsys)


@pytest.mark.usefixtures("keras_cache")
@pytest.mark.parametrize(
    ("training", "folds", "needed"),
    [
        ({"model": "compact"}, 5, False),
        ({"model": "backbone"}, 0, True),
        ({"model": "backbone", "start_from": "champion"}, 0, False),
        ({"model": "auto", "start_from": "champion"}, 0, False),
        ({"model": "auto", "start_from": "champion"}, 5, True),
        ({"model": "backbone", "start_from": "champion", "image_size": 320}, 0, True),
    ],
)
def test_downloaded_weights_are_needed_where_a_training_begins_with_them(training, folds, needed, monkeypatch):
    used = ChampionModel(digest="ab" * 32, model="backbone", image_size=224)
    monkeypatch.setattr(flow.warm_start, "champion_model", lambda places: used)
    config = Config.model_validate({"training": training, "crossfit": {"folds": folds}})
    with pytest.raises(BadInput, match="ImageNet weights") if needed else nullcontext():
        flow.require_first_weights(config)


@pytest.mark.usefixtures("imagenet_file")
def test_cached_weights_need_no_network():
    flow.require_first_weights(Config.model_validate({"training": {"model": "backbone"}}))


def ends_in_one_line(fault, tmp_path, archive, monkeypatch, capsys) -> str:
    words = [
        *broken_arguments(tmp_path, archive, fault),
        "--data",
        str(tmp_path / "d"),
        "--artifacts",
        str(tmp_path / "a"),
    ]
    monkeypatch.setattr(sys, "argv", ["retrain.py", *words])
    monkeypatch.setattr(flow, "retrain", lambda config: pytest.fail("the flow, and so a server, was started"))
    assert exit_status(flow.main) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "d").exists()
    assert not (tmp_path / "a").exists()
    return error


def test_an_unknown_data_set_is_told_before_a_server_starts(monkeypatch, tmp_path, capsys):
    with Emulator(datasets={}) as kaggle:
        kaggle.serve(monkeypatch, tmp_path)
        monkeypatch.setattr(sys, "argv", ["retrain.py", "--source", "kaggle:alice/castngs"])
        monkeypatch.setattr(flow, "retrain", lambda config: pytest.fail("the flow, and so a server, was started"))
        assert exit_status(flow.main) == 2
    assert "alice/castngs" in capsys.readouterr().err


@pytest.fixture
def look_at(registered, places):
    """Looks at a source and at arrivals as a run does before it begins, for this network."""

    def run(source: Path, *arrivals: Path, model: str = "auto"):
        fetch = FetchSettings(source=str(source), arrivals=arrivals, settle_seconds=0)
        return flow.preflight(Config(fetch=fetch, training=TrainingSettings(model=model), places=places))

    return run


@pytest.fixture
def good_alone(dataset) -> Path:
    folder = dataset({"": 3})
    shutil.rmtree(folder / "def_front")
    return folder


@pytest.mark.parametrize("model", ["auto", "patch", "compact"])
def test_a_source_without_defects_names_the_network_of_good_parts_alone(look_at, good_alone, model):
    match = "castings has no image of a defective part: .* bring photographs of defective parts, or take --model normal"
    with pytest.raises(BadInput, match=match):
        look_at(good_alone, model=model)


def test_a_source_without_defects_is_enough_for_the_network_of_good_parts_alone(look_at, good_alone):
    source = look_at(good_alone, model="normal")
    assert not source.has_defects
    assert source.folders == ClassFolders()


def test_a_source_with_defects_is_enough_for_each_network(look_at, dataset):
    folder = dataset({"": 2})
    assert all(look_at(folder, model=model).has_defects for model in ("auto", "patch", "normal"))


def test_defects_that_arrive_are_defects(look_at, good_alone, dataset):
    arrival = dataset({"": 1}, name="line 2", first_seed=50)
    assert look_at(good_alone, arrival).folders == ClassFolders()
    shutil.rmtree(arrival / "def_front")
    with pytest.raises(BadInput, match="--model normal"):
        look_at(good_alone, arrival)


def test_a_correction_may_make_a_defect_of_a_good_part(look_at, good_alone, places):
    content = (good_alone / "ok_front/cast_0.jpeg").read_bytes()
    places.data.mkdir(exist_ok=True)
    (places.data / "corrections.csv").write_text(
        f"sha256,correction,why\n{hashlib.sha256(content).hexdigest()},def_front,a crack\n"
    )
    assert not look_at(good_alone).has_defects


def test_so_may_an_answer_on_the_review_page_and_an_excluded_image_is_no_defect(look_at, good_alone, places):
    sha256 = hashlib.sha256((good_alone / "ok_front/cast_0.jpeg").read_bytes()).hexdigest()
    places.artifacts.mkdir(exist_ok=True)
    (places.artifacts / "corrections.csv").write_text(f"sha256,correction,why\n{sha256},exclude,blurred\n")
    with pytest.raises(BadInput, match="--model normal"):
        look_at(good_alone)
    (places.artifacts / "corrections.csv").write_text(f"sha256,correction,why\n{sha256},def_front,a crack\n")
    assert not look_at(good_alone).has_defects
    places.data.mkdir(exist_ok=True)
    (places.data / "corrections.csv").write_text(f"sha256,correction,why\n{sha256},ok_front,a shadow\n")
    with pytest.raises(BadInput, match="--model normal"):
        look_at(good_alone)


def test_corrections_that_cannot_be_meant_are_told_before_a_server_starts(archive, places, monkeypatch, capsys):
    places.data.mkdir()
    (places.data / "corrections.csv").write_text("sha256,correction,why\ncast_1.jpeg,exclude,blurred\n")
    monkeypatch.setattr(sys, "argv", ["retrain.py", "--source", str(archive), "--data", str(places.data)])
    monkeypatch.setattr(flow, "retrain", lambda config: pytest.fail("the flow, and so a server, was started"))
    assert exit_status(flow.main) == 2
    assert "corrections.csv, line 2: 'cast_1.jpeg' is no sha256" in capsys.readouterr().err
    assert [path.name for path in places.data.iterdir()] == ["corrections.csv"]


@pytest.mark.parametrize(("verdict", "version"), [("promoted", 1), ("kept", 1), ("waiting", 2), ("kept", None)])
def test_a_run_that_leaves_no_model_in_use_does_not_read_as_success(verdict, version, monkeypatch, capsys, places):
    released = Release(verdict=verdict, reason="so", version=version, champion_before=None, decided_in="run 1")
    monkeypatch.setattr(sys, "argv", ["retrain.py", "--data", str(places.data), "--artifacts", str(places.artifacts)])
    monkeypatch.setattr(flow, "retrain", lambda config: released)
    monkeypatch.setattr(flow.signal, "signal", lambda *_: None)
    if version:
        assert exit_status(flow.main) == 0
        assert capsys.readouterr().err == ""
    else:
        with pytest.raises(SystemExit, match="1"):
            exit_status(flow.main)
        said = capsys.readouterr().err
        assert said.startswith("no model is in use, and the new one was kept out: so; ")
        assert "--help lists those of --acceptance" in said


def is_gone(group: int, within: float) -> bool:
    """Whether no process of the group is left after so many seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_ends_a_run_and_its_server_at_once(archive, registered, places, prefect_home, tmp_path):
    """As a terminal sends it: to the run and to the server that it started. Who is impatient presses it again."""
    words = ["--source", archive, "--epochs", "1000", "--data", places.data, "--artifacts", places.artifacts]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PREFECT_HOME": str(prefect_home)}
    command = [sys.executable, "-u", ROOT / "flows/retrain.py", *words]
    run = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    with run, run.stdout as said:
        lines = []
        for line in said:
            lines.append(line)
            if "epoch 2 of" in line or "interrupted" in line:
                os.killpg(run.pid, signal.SIGINT)
        assert run.wait(timeout=15) == 1, lines
    assert any("interrupted; what was finished is kept" in line for line in lines)
    assert is_gone(run.pid, within=10)
    assert not (places.artifacts / "runs").exists()


def test_a_second_ctrl_c_does_not_wait_for_the_first_and_a_failure_does_not_keep_the_process(monkeypatch):
    seen = []

    class Server:
        def stop(self) -> None:
            seen.append(signal.getsignal(signal.SIGINT))
            raise RuntimeError("reentrant call")

    monkeypatch.setitem(sys.modules, "prefect.server.api.server", SimpleNamespace(SubprocessASGIServer=Server))
    monkeypatch.setattr(os, "_exit", seen.append)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(RuntimeError):
            flow.stop_at_once()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIG_IGN, 1]


def test_an_unchanged_run_from_the_shell_loads_no_network(run, first_run, archive, places, tmp_path):
    """As a user starts it, from another folder."""
    run(archive)  # MLflow is asked again where its database was copied to
    words = ["--epochs", "1", "--image-size", "32", "--splitting.validation_fraction", "0.3"]
    named = ["--source", archive, "--data", places.data, "--artifacts", places.artifacts]
    again = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / "flows/retrain.py", *words, *named],
        cwd=tmp_path,
        env={"PREFECT_API_URL": PREFECT_API_URL.value(), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert again.returncode == (0 if first_run["release"]["version"] else 1), again.stderr
    loaded = {line.rpartition("|")[2].strip() for line in again.stderr.splitlines() if line.startswith("import time:")}
    assert "tasks.train" in loaded
    assert {"tensorflow", "keras", "matplotlib", "scipy"} & loaded == set()
    assert last_run(places)["run_id"] != first_run["run_id"]
    assert steps_run(last_run(places)) == []
