"""Predict: the model in use answers in words or JSON, the same in every process, and says so when it cannot."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
import warnings
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import put_into_use, run_folder, write_model_folder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flows import predict
from tasks.images.decoding import BY_SUFFIX, SUFFIXES
from tasks.inference.predictor import Answer
from tasks.settings.cli import exit_status
from tasks.settings.escaping import for_utf8
from tasks.tracking.runs import SERVING

ROOT = Path(__file__).parents[1]


@pytest.fixture
def ask(places, monkeypatch, capsys):
    """Runs the command in this process: (exit status, standard output, standard error)."""

    def run(*words: object) -> tuple[int, str, str]:
        named = ["--data", places.data, "--artifacts", places.artifacts]
        monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, [*words, *named])])
        capsys.readouterr()
        status = exit_status(predict.main)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_one_image_is_answered_in_one_line_with_the_decision_first(ask, released, tmp_path):
    image = tmp_path / "castings/test/def_front/cast_0.jpeg"
    status, said, _ = ask(image)
    assert status == 0
    (answer,) = json.loads(ask(image, "--json")[1])
    assert said.startswith(f"{answer['decision'].upper()} {image}: defect ")
    assert said.count("\n") == 1
    assert (answer["reason"] in said) == (answer["decision"] == "review")


ANSWER = Answer(
    path="a.jpeg", sha256="00", label="ok_front", defect_probability=0.1, decision="pass", reason="sure",
    model_version=1, cause="below_limit",
)  # fmt: skip


def test_a_line_begins_with_the_decision_and_ends_with_the_reason_of_a_review():
    assert predict.line(ANSWER) == "PASS a.jpeg: defect 10 %"
    assert predict.line(ANSWER.model_copy(update={"decision": "review"})) == "REVIEW a.jpeg: defect 10 %, sure"
    unseen = {"label": None, "defect_probability": None, "decision": "review", "reason": "no ring"}
    assert predict.line(ANSWER.model_copy(update=unseen)) == "REVIEW a.jpeg: no ring"
    assert predict.line(ANSWER, is_score=True) == "PASS a.jpeg: anomaly score 0.10"
    rejected = ANSWER.model_copy(update={"decision": "reject", "defect_probability": 0.98})
    assert (
        predict.line(rejected, picture=Path("heat/a.heat.png")) == "REJECT a.jpeg: defect 98.0 %, see heat/a.heat.png"
    )


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "below 0.1 %"), (1e-9, "below 0.1 %"), (0.004, "0.4 %"), (0.1, "10 %"), (0.614, "61 %"), (0.9, "90 %"),
        (0.9987, "99.9 %"), (0.99999, "above 99.9 %"), (1.0, "above 99.9 %"),
    ],
)  # fmt: skip
def test_no_probability_is_shown_as_certain(share, shown):
    assert predict.percent(share) == shown


def test_heat_maps_of_what_does_not_pass_are_saved_and_named(ask, released, tmp_path):
    from PIL import Image

    status, said, _ = ask(tmp_path / "castings/test", "--save", tmp_path / "heat")
    assert status == 0
    summary, *lines = said.splitlines()
    assert summary.startswith("16 images: ")
    named = {line.rpartition("see ")[2] for line in lines if ", see " in line}
    assert named == {str(path) for path in (tmp_path / "heat").iterdir()}
    assert named and not any(", see " in line for line in lines if line.startswith("PASS"))
    for path in named:
        with Image.open(path) as picture:
            assert picture.mode == "RGB" and max(picture.size) <= 900


def test_pictures_of_equal_names_do_not_replace_each_other():
    assert predict.picture_name("a/part.jpeg", set()) == "part.heat.png"
    assert predict.picture_name("b/part.png", {"part.heat.png"}) == "part-2.heat.png"
    assert predict.picture_name("c/part.png", {"part.heat.png", "part-2.heat.png"}) == "part-3.heat.png"
    assert predict.picture_name("d/PART.png", {"part.heat.png"}) == "PART-2.heat.png", "one name where case is ignored"
    assert predict.picture_name("e/Cafe\u0301.png", {"café.heat.png"}) == "Cafe\u0301-2.heat.png", "and on a Mac"


def test_names_that_differ_in_case_alone_have_pictures_that_differ_in_more(ask, released, tmp_path):
    answers = json.loads(ask(tmp_path / "castings/test", "--json")[1])
    suspect = next(answer["path"] for answer in answers if answer["decision"] != "pass")
    for name in ("one/Part.jpeg", "two/part.jpeg", "two/PART-2.jpeg", "two/other.jpeg"):
        (tmp_path / "line" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(suspect, tmp_path / "line" / name)
    assert ask(tmp_path / "line", "--save", tmp_path / "heat")[0] == 0
    names = sorted(path.name for path in (tmp_path / "heat").iterdir())
    assert names == ["PART-2.heat.png", "Part.heat.png", "other.heat.png", "part-3.heat.png"]


def test_a_folder_for_pictures_that_cannot_be_used_is_refused_before_anything_is_judged(ask, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "a.jpeg").touch()
    status, said, error = ask(tmp_path / "a.jpeg", "--save", tmp_path / "file")
    assert (status, said) == (2, "")
    assert error == f"error: --save {tmp_path / 'file'} cannot be used: give a folder that can be written to\n"


@pytest.mark.parametrize("pattern", ["(", "part", "(?P<line>x)", "(?P<part>x)(?P<line>y)"])
def test_a_pattern_of_stamps_that_names_nothing_or_something_else_is_refused(ask, tmp_path, pattern):
    (tmp_path / "a.jpeg").touch()
    status, said, error = ask(tmp_path / "a.jpeg", "--stamp", pattern)
    assert (status, said) == (2, "")
    assert repr(pattern) in error


def test_json_has_an_object_an_image_that_agrees_with_the_evaluation(ask, released, tmp_path):
    _, judged = released
    status, said, _ = ask(tmp_path / "castings/test", "--json")
    answers = json.loads(said)
    assert status == 0
    assert len(answers) == 16
    for answer in answers:
        assert list(answer) == [
            "path",
            "sha256",
            "label",
            "defect_probability",
            "decision",
            "reason",
            "model_version",
            "cause",
        ]
        assert answer["path"].startswith(str(tmp_path / "castings/test/"))
        assert answer["defect_probability"] == pytest.approx(judged[answer["sha256"]].defect_probability, abs=1e-6)
        assert answer["decision"] == judged[answer["sha256"]].decision
        assert answer["cause"] == judged[answer["sha256"]].cause
        assert answer["model_version"] == 1


def test_a_fresh_process_gives_the_same_answers(ask, released, places, tmp_path):
    words = [tmp_path / "castings/test", "--json", "--data", places.data, "--artifacts", places.artifacts]
    fresh = subprocess.run(
        [sys.executable, ROOT / "flows/predict.py", *words], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert json.loads(fresh.stdout) == json.loads(ask(tmp_path / "castings/test", "--json")[1])


def test_an_image_that_cannot_be_read_goes_to_a_person_and_stops_no_other(ask, released, tmp_path):
    broken = tmp_path / "broken.jpeg"
    broken.write_bytes(b"\xff\xd8\xff no more")
    status, said, _ = ask(broken, tmp_path / "castings/test/ok_front/cast_1.jpeg", "--json")
    first, second = json.loads(said)
    assert status == 0
    assert (first["decision"], first["label"], first["defect_probability"]) == ("review", None, None)
    assert "cannot be read" in first["reason"]
    assert second["label"] in ("def_front", "ok_front")


def test_a_folder_begins_with_a_summary(ask, released, tmp_path):
    lines = ask(tmp_path / "castings/test/ok_front")[1].strip().splitlines()
    assert len(lines) == 9
    assert lines[0].startswith("8 images: ")


def test_the_table_has_station_and_part_by_the_paths(process, ask, released, tmp_path):
    target = tmp_path / "answers.csv"
    ask(tmp_path / "castings/test", "--csv", target, "--stamp", "(?P<station>[a-z]+_front)/cast_(?P<part>[0-9]+)")
    with open(target, encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert {(row["station"], row["part"]) for row in rows} == {
        (name, str(number)) for name in ("def_front", "ok_front") for number in range(8)
    }


def test_a_version_a_folder_or_a_file_can_be_named(ask, released, places, tmp_path):
    exports, _ = released
    image = tmp_path / "castings/test/def_front/cast_0.jpeg"
    folder = places.artifacts / "models" / exports.digest
    answers = [
        ask(image, *words)[1]
        for words in ([], ["--version", 1], ["--file", folder], ["--file", folder / "model.keras"])
    ]
    assert len(set(answers)) == 1


def test_drawn_parts_are_not_judged_by_in_the_place_of_others(ask, released, places, tmp_path):
    """The sample was run last, and the model in use of other images answers; which it was is said where JSON does not lie."""
    folder = places.artifacts / "models" / released[0].digest
    image = tmp_path / "castings/test/def_front/cast_0.jpeg"
    toys = places.with_model("recast-sample")
    put_into_use(write_model_folder("a toy", places), toys)
    put_into_use(folder, toys)
    run_folder(places, "1", "castings.zip", "recast")
    run_folder(places, "2", "sample", "recast-sample")
    status, said, error = ask(image, "--json")
    assert (status, json.loads(said)[0]["model_version"]) == (0, 1)
    assert f"judged by version 1, {released[0].digest[:12]}, of recast\n" in error
    status, said, error = ask(image, "--json", "--places.registered_model", "recast-sample")
    assert (status, json.loads(said)[0]["model_version"]) == (0, 2)
    assert ", of recast-sample\n" in error
    assert "there is no version 2 of recast in" in ask(image, "--version", 2)[2]


def test_where_no_model_of_the_last_run_is_in_use_the_sample_s_does_not_answer(ask, places, dataset, monkeypatch):
    monkeypatch.setattr(predict.registry, "champion", lambda _: None)
    run_folder(places, "1", "castings.zip", "recast")
    run_folder(places, "2", "sample", "recast-sample")
    status, _, error = ask(dataset({"": 1}))
    assert status == 2
    assert " as recast: run flows/retrain.py first" in error


def test_the_model_of_a_run_comes_from_its_folder_and_else_from_the_registry(
    ask, released, places, tmp_path, monkeypatch
):
    exports, _ = released
    run = places.artifacts / "runs/one"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"config": {}, "model": {"folder": exports.digest}}))
    words = tmp_path / "castings/test/def_front/cast_0.jpeg", "--run", "one"
    with monkeypatch.context() as patched:
        patched.setattr(predict.registry, "versions", lambda _: pytest.fail("the folder is at hand"))
        there = ask(*words)
    shutil.rmtree(places.artifacts / "models" / exports.digest)
    fetched = ask(*words)
    assert there[0] == fetched[0] == 0
    assert there[1] == fetched[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--version", "7"], "there is no version 7"),
        (["--run", "latest"], "there is no run 'latest'"),
        (["--file", "nowhere"], "there is no model 'nowhere'"),
        (["--file", __file__], "does not judge by itself: give its folder, or the model.keras in it"),
        (["--version", "1", "--run", "latest"], "give one of them"),
    ],
)
def test_a_model_that_is_not_there_is_said(ask, released, tmp_path, words, says):
    status, said, error = ask(tmp_path / "castings/test/def_front/cast_0.jpeg", *words)
    assert (status, said) == (2, "")
    assert says in error
    assert error.count("\n") == 1


def test_without_a_model_in_use_it_says_what_to_do(ask, dataset):
    status, _, error = ask(dataset({"": 1}))
    assert status == 2
    assert "run flows/retrain.py first" in error


def test_an_image_that_is_not_there_is_bad_input(ask, released, tmp_path):
    status, _, error = ask(tmp_path / "none.jpeg")
    assert status == 2
    assert "there is no image or folder" in error


def spoil(exports, places) -> Path:
    """Changes the model's folder; its decision file."""
    path = places.artifacts / "models" / exports.digest / "decision.json"
    path.write_text(path.read_text().replace('"temperature":', '"temperature":1'))
    (path.parent / "model.keras").write_bytes(b"x")
    return path


def test_a_model_that_was_changed_comes_back_from_the_registry(ask, released, places, tmp_path):
    image = tmp_path / "castings/test/def_front/cast_0.jpeg"
    expected = ask(image, "--json")[:2]
    changed = spoil(released[0], places)
    status, said, error = ask(image, "--json")
    assert (status, said) == expected
    assert f"{changed} has changed: version 1 is restored from the registry" in error


def test_a_model_that_was_changed_there_too_is_not_loaded(ask, released, places, tmp_path):
    spoil(released[0], places)
    shutil.rmtree(places.artifacts / "mlflow")
    status, _, error = ask(tmp_path / "castings/test/def_front/cast_0.jpeg")
    assert status == 2
    assert "the files of version 1 in sqlite" in error


def test_a_file_that_was_changed_is_not_loaded(ask, released, places, tmp_path):
    folder = spoil(released[0], places).parent
    status, _, error = ask(tmp_path / "castings/test/def_front/cast_0.jpeg", "--file", folder)
    assert status == 2
    assert error.startswith(f"error: {folder / 'decision.json'} has changed: this is not the model as it was released")
    assert error.count("\n") == 1


def test_judging_needs_neither_prefect_nor_tensorflow(released, places, tmp_path):
    words = ["predict.py", tmp_path / "castings/test/def_front/cast_0.jpeg", "--artifacts", places.artifacts]
    heavy = "prefect", "tensorflow", "keras"
    arguments = f"import sys; sys.argv = {[str(word) for word in words]!r}"
    code = f"{arguments}; from flows.predict import main; main(); print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip().endswith("[]")


def test_a_model_whose_litert_file_was_never_compared_is_asked_by_keras(ask, released, places, tmp_path):
    exports, _ = released
    image = tmp_path / "castings/test/def_front/cast_0.jpeg"
    (before,) = json.loads(ask(image, "--json")[1])
    (places.artifacts / "models" / exports.digest / "exports.json").unlink()
    (after,) = json.loads(ask(image, "--json")[1])
    assert after["decision"] == before["decision"]
    assert after["defect_probability"] == pytest.approx(before["defect_probability"], abs=1e-5)


def test_a_folder_of_hostile_images_costs_each_of_them_a_line(ask, released, tmp_path, photograph):
    """Which are a PNG without a picture, a JPEG of comments, a picture of one pixel and a file of a terabyte."""
    folder, good = tmp_path / "hostile", tmp_path / "castings/test/def_front/cast_0.jpeg"
    folder.mkdir()
    png = photograph(form="PNG")
    contents = {
        "bare.png": png[:33] + png[-12:],
        "comments.jpeg": photograph()[:2] + b"\xff\xfe\0\2" * 5_000 + photograph()[2:],
    }
    for name, content in {**contents, "dot.png": photograph(size=(4, 4), form="PNG"), "film.jpeg": b""}.items():
        (folder / name).write_bytes(content)
    os.truncate(folder / "film.jpeg", 2**40)
    status, said, _ = ask(folder, good, "--json")
    answers = {Path(answer["path"]).name: answer for answer in json.loads(said)}
    assert status == 0
    assert [name for name, answer in answers.items() if answer["label"] is None] == [
        "bare.png",
        "comments.jpeg",
        "film.jpeg",
    ]
    assert all(
        answer["reason"].startswith("the image cannot be read: ") for answer in answers.values() if not answer["label"]
    )
    assert answers["cast_0.jpeg"] == {**json.loads(ask(good, "--json")[1])[0]}


def test_mlflow_serves_the_model_in_use_and_it_answers_as_predict_does(ask, released, places, tmp_path):
    import mlflow.pyfunc
    import pandas

    photograph = tmp_path / "castings/test/def_front/cast_0.jpeg"
    stored = next((places.artifacts / "mlflow").rglob("MLmodel")).parent
    with warnings.catch_warnings(action="ignore"):  # MLflow's hints on type hints
        served = mlflow.pyfunc.load_model(str(stored))
    answers = served.predict(pandas.DataFrame({"image": [photograph.read_bytes(), b"no picture", None]}))
    expected = json.loads(ask(photograph, "--json")[1])[0]
    assert answers.loc[0].to_dict() == {name: expected[name] for name in answers.columns}
    assert answers.loc[1, "decision"] == "review"
    assert answers.loc[1, "reason"].startswith("the image cannot be read")
    assert answers.loc[2, "reason"].startswith("the image cannot be read: NoneType was sent")


def test_a_served_model_needs_no_library_but_those_that_are_stored_with_it(released, places, tmp_path):
    """A server of models installs these, and MLflow, and nothing else of recast's."""
    code = """
import sys
from pathlib import Path
from tasks.images.loading import decode_content
from tasks.inference.predictor import Predictor
content = Path(sys.argv[2]).read_bytes()
list(Predictor(Path(sys.argv[1])).judge_contents([content]))
decode_content(content, ".jpeg", "ring", 512)
print(*{name.partition(".")[0] for name in sys.modules})
"""
    photograph = next((tmp_path / "castings/test").rglob("*.jpeg"))
    command = [sys.executable, "-c", code, places.artifacts / "models" / released[0].digest, photograph]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split())
    stored, unread = set(), [*SERVING]
    while unread:
        name = canonicalize_name(unread.pop())
        if name not in stored:
            stored.add(name)
            needed = [Requirement(line) for line in requires(name) or ()]
            unread += [need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    distributions = {
        canonicalize_name(name)
        for module, names in packages_distributions().items()
        if module in loaded and not module.startswith("_")
        for name in names
    }
    optional = {"charset-normalizer"}  # NumPy takes it where it is there
    assert distributions - stored - optional == set()


def test_a_folder_is_answered_as_a_table(ask, released, tmp_path):
    folder, target = tmp_path / "castings/test", tmp_path / "answers.csv"
    status, said, error = ask(folder, "--csv", target, "--json")
    assert status == 0
    assert f"judged by version 1, {released[0].digest[:12]}" in error
    with open(target, encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    told = [{name: "" if value is None else str(value) for name, value in one.items()} for one in json.loads(said)]
    assert [{name: row[name] for name in told[0]} for row in rows] == told
    assert list(rows[0])[len(told[0]) :] == ["station", "part", "taken"]
    assert len(rows) == 16


class Stub:
    """Judges without a network."""

    name = "version 1"
    rule = SimpleNamespace(normal=None)

    def judge(self, images):
        for name, _ in images:
            yield Answer(
                path=for_utf8(name), sha256="00", label="ok_front", defect_probability=0.1, decision="pass", reason="",
                model_version=1, cause="below_limit",
            )  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with photographs of odd names, of all suffixes that are read and of some that are not, and side files."""
    monkeypatch.setattr(predict, "choose_model", lambda _: (Stub(), "a model"))
    names = [b"1.jpeg", b"2.jfif", b"3.JPE", b"a\xff.jpeg", b"b\n.jpeg", b"c\x1b[2J.jpeg", b"d\xfe/1.png"]
    names += [b"4.BMP", b"5.tif", b"6.tiff", b"7.webp", b"8.jpg"]
    names += [b"1.gif", b"2.heic", b"3.avif", b"Thumbs.db", b"@eaDir/1.jpeg", b"Icon\r", b"1.jpeg.part"]
    for name in names:
        path = tmp_path / "line" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "line"


LEFT_OUT = (
    f"left out: 3 files of other formats: 1 .gif (1.gif), 1 .heic (2.heic), 1 .avif (3.avif); read are {SUFFIXES}"
)


def test_every_photograph_of_a_folder_is_answered_and_what_is_left_out_is_named(ask, folder):
    status, said, _ = ask(folder)
    assert status == 0
    summary, *answers, left = said.splitlines()
    assert sorted(answer.partition(": ")[0].removeprefix(f"PASS {folder}/") for answer in answers) == [
        "1.jpeg",
        "2.jfif",
        *("3.JPE", "4.BMP", "5.tif", "6.tiff", "7.webp", "8.jpg"),
        "a\\udcff.jpeg",
        "b\\n.jpeg",
        "c\\x1b[2J.jpeg",
        "d\\udcfe/1.png",
    ]
    assert left == LEFT_OUT
    assert summary == "12 images: 12 pass, 0 review, 0 reject"


def test_json_and_table_hold_odd_names_as_utf_8_and_what_is_left_out_is_told_beside(ask, folder, tmp_path):
    status, said, error = ask(folder, "--json", "--csv", tmp_path / "answers.csv")
    paths = [answer["path"].removeprefix(f"{folder}/") for answer in json.loads(said)]
    assert status == 0
    assert sorted(paths) == [
        "1.jpeg",
        "2.jfif",
        *("3.JPE", "4.BMP", "5.tif", "6.tiff", "7.webp", "8.jpg"),
        "a\\udcff.jpeg",
        "b\n.jpeg",
        "c\x1b[2J.jpeg",
        "d\\udcfe/1.png",
    ]
    assert "".join(paths).encode().decode() == "".join(paths)
    assert error.splitlines()[-1] == LEFT_OUT
    with open(tmp_path / "answers.csv", encoding="utf-8", newline="") as opened:
        assert [row["path"].removeprefix(f"{folder}/") for row in csv.DictReader(opened)] == paths


def test_a_folder_of_other_formats_alone_says_what_it_holds(ask, folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in BY_SUFFIX:
            path.unlink()
    status, _, error = ask(folder)
    assert status == 2
    assert f"no image lies in {folder}; {LEFT_OUT}" in error


def test_what_may_not_be_looked_at_is_answered_and_what_is_not_there_is_bad_input(ask, folder, monkeypatch):
    look = Path.stat

    def refusing(path, **named):
        if path.name == "shut.jpeg":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **named)

    monkeypatch.setattr(Path, "stat", refusing)
    assert predict.images_of([str(folder / "shut.jpeg")]) == ([(str(folder / "shut.jpeg"), folder / "shut.jpeg")], [])
    assert ask(folder / ("x" * 300))[0] == 2


def test_a_pipe_is_told_and_not_waited_for(ask, folder):
    os.mkfifo(folder / "pipe.jpeg")
    status, said, _ = ask(folder / "pipe.jpeg", folder / "1.jpeg")
    assert status == 0
    assert f"left out: {folder}/pipe.jpeg is neither a file nor a folder" in said.splitlines()
