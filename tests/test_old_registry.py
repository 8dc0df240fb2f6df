"""Old registry: the models of an earlier recast are judged with, served, rolled back and pruned as before.

`old_registry.tar.xz` holds the folder `artifacts` of recast 0.1 (30 November 2026) after two runs on drawn parts, and four photographs of
their test. Both versions are a `compact` of 32 pixels. Version 1 was in use first, version 2 is.
"""

import csv
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from flows import predict, promote, prune
from tasks.inference import model_folder
from tasks.settings.cli import exit_status
from tasks.settings.settings import Places
from tasks.tracking import registry

ROOT = Path(__file__).parents[1]
SERVED = """
import json, sys
from pathlib import Path
import mlflow.pyfunc, pandas
photographs = [Path(name).read_bytes() for name in sys.argv[2:]]
print(mlflow.pyfunc.load_model(sys.argv[1]).predict(pandas.DataFrame({"image": photographs})).to_json(orient="records"))
"""


@pytest.fixture
def old_places(tensorflow, mlflow, tmp_path, monkeypatch) -> Places:
    """The places, unpacked elsewhere than where they were written."""
    with tarfile.open(Path(__file__).with_name("old_registry.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return Places().with_model("recast-sample")


@pytest.fixture
def photographs(old_places) -> list[Path]:
    return sorted(Path("photographs").iterdir())


def run(command, *words: str) -> None:
    """Run a command of `flows` as from the shell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [command.__name__, *words])
        assert exit_status(command.main) == 0


def recorded_rows(photographs: list[Path]) -> list[dict[str, str]]:
    """What the run that made version 2 wrote about these photographs."""
    with open("artifacts/runs/latest/predictions.csv", encoding="utf-8", newline="") as file:
        rows = {row["sha256"]: row for row in csv.DictReader(file)}
    return [rows[photograph.stem] for photograph in photographs]


def test_the_model_in_use_answers_as_it_did(old_places, photographs, capsys):
    run(predict, *map(str, photographs), "--json")
    answers = json.loads(capsys.readouterr().out)
    assert [answer["model_version"] for answer in answers] == [2] * 4
    for answer, row in zip(answers, recorded_rows(photographs), strict=True):
        assert answer["decision"] == row["decision"]
        assert answer["defect_probability"] == pytest.approx(float(row["defect_probability"]), abs=1e-3)


@pytest.mark.usefixtures("process")
def test_a_version_is_served_by_the_code_that_it_brings(old_places, photographs):
    version = registry.champion(old_places)
    model_folder.fetch_servable(version, Path("served"), old_places)
    words = [sys.executable, "-c", SERVED, "served", *map(str, photographs)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for answer, row in zip(json.loads(done.stdout), recorded_rows(photographs), strict=True):
        assert answer["decision"] == row["decision"]


def test_versions_are_rolled_back_and_pruned(old_places, photographs, capsys):
    run(promote, "--rollback", "--reason", "a try")
    assert registry.champion(old_places).number == 1
    capsys.readouterr()
    run(predict, str(photographs[0]), "--json")
    assert json.loads(capsys.readouterr().out)[0]["model_version"] == 1

    before = {path.name for path in Path("artifacts/models").iterdir()}
    run(prune, "--keep-runs", "1")
    capsys.readouterr()
    assert {path.name for path in Path("artifacts/models").iterdir()} == before, "both versions can come into use"
    run(promote, "--version", "2", "--reason", "it was right")
    assert registry.champion(old_places).number == 2
    capsys.readouterr()
    run(predict, str(photographs[0]), "--json")
    assert json.loads(capsys.readouterr().out)[0]["model_version"] == 2
