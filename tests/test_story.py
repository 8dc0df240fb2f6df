"""Story of a registry: a first model, nothing new, a better one, a worse one, one taken back, and which version answers meanwhile."""

import csv
import json
import sys
from functools import partial
from itertools import product

import pytest
from gates import rule_with_moved_probabilities

from flows import predict, promote, prune
from flows import retrain as flow
from tasks import release
from tasks.records.results import Release
from tasks.settings.cli import exit_status
from tasks.settings.settings import Config
from tasks.tracking import connection
from tasks.tracking import runs as mlflow_runs

LITTLE = 1e-4  # more than a processor, a library or an exported format changes a probability by
LAX = {  # few epochs make no good model
    "max_escape_rate": 0.5, "max_false_reject_rate": 0.5, "max_review_rate": 1.0, "beyond_baselines": False,
}  # fmt: skip


@pytest.fixture
def retrain_on(prefect_server, tensorflow, registered, places):
    def run(fetch: dict, model: str, epochs: int, seed: int = 0) -> dict:
        """`run.json` of a run on these images."""
        settings = {
            "fetch": {**fetch, "arrivals": []},
            "training": {"model": model, "epochs": epochs, "seed": seed},
            "acceptance": LAX,
            "places": places,
        }
        flow.retrain(Config.model_validate(settings))
        return json.loads((places.artifacts / "runs/latest/run.json").read_text())

    return run


@pytest.fixture(autouse=True)
def verdicts_that_hold(monkeypatch) -> list[str]:
    """The causes of the gate's verdicts. None changes when all probabilities move a little, whichever way each model's move."""
    decide, causes = release.decide, []

    def decide_and_move(candidate: release.Candidate) -> Release:
        moved = [rule_with_moved_probabilities(candidate, *shifts) for shifts in product((-LITTLE, LITTLE), repeat=2)]
        decided = decide(candidate)
        assert {ruling.cause for ruling in moved} == {decided.cause}
        causes.append(decided.cause)
        return decided

    monkeypatch.setattr(release, "decide", decide_and_move)
    return causes


@pytest.fixture
def run_command(places, monkeypatch, capsys):
    """What a command prints."""

    def run(command, *words: str) -> str:
        monkeypatch.setattr(
            sys, "argv", [command.__name__, *words, "--data", str(places.data), "--artifacts", str(places.artifacts)]
        )
        capsys.readouterr()
        assert exit_status(command.main) == 0
        return capsys.readouterr().out

    return run


def test_a_registry_from_the_first_model_to_a_rollback(retrain_on, run_command, places, verdicts_that_hold):
    fetch = {"sample": {"parts": 60, "train_images": 200, "test_images": 80}}
    tell(partial(retrain_on, fetch, "ring"), run_command, places)
    assert verdicts_that_hold == ["first_model", "better", "dearer_on_origin"]


@pytest.mark.long
def test_a_registry_from_the_first_model_to_a_rollback_on_the_archive(
    real_archive, retrain_on, run_command, places, verdicts_that_hold
):
    tell(partial(retrain_on, {"source": str(real_archive)}, "compact"), run_command, places)
    assert verdicts_that_hold == ["first_model", "better", "dearer_on_origin"]


def tell(retrain_on, run_command, places) -> None:
    """The story, as `retrained` trains for so many epochs."""

    def answering() -> int:
        """Version of who judges a photograph of the test."""
        with open(places.artifacts / "runs/latest/predictions.csv", encoding="utf-8") as file:
            part = next(row for row in csv.DictReader(file) if row["split"] == "test" and row["label"] == "def_front")
        (image,) = places.data.glob(f"images/*/{part['sha256']}*")
        return json.loads(run_command(predict, str(image), "--json"))[0]["model_version"]

    first = retrain_on(1)  # it sends all to a person, so that the better one is better on any processor
    assert (first["release"]["verdict"], first["release"]["version"]) == ("promoted", 1)
    assert answering() == 1

    same = retrain_on(1)
    assert all(step["cached"] for step in same["steps"].values())
    assert same["release"] == first["release"]

    better = retrain_on(15)
    assert (better["release"]["verdict"], better["release"]["version"]) == ("promoted", 2)
    assert better["release"]["reason"].startswith("better than version 1: it costs less on")
    assert answering() == 2

    worse = retrain_on(1, seed=1)
    assert (worse["release"]["verdict"], worse["release"]["version"]) == ("kept", 2)
    assert worse["release"]["reason"].startswith("dearer than version 2 beyond noise")
    assert answering() == 2

    run_command(promote, "--rollback", "--reason", "a try")
    assert answering() == 1
    unchanged = retrain_on(15)
    assert (unchanged["release"]["verdict"], unchanged["release"]["version"]) == ("kept", 1)
    assert "it is version 2, which was taken back: a try" in unchanged["release"]["reason"]
    assert answering() == 1

    name = first["config"]["places"]["registered_model"]
    places = places.with_model(name)
    client = connection.client(places)
    runs = client.search_runs([mlflow_runs.experiment(places)], order_by=["attributes.start_time"])
    assert [(run.data.tags["recast.run"], run.data.tags["recast.verdict"], run.info.status) for run in runs] == [
        (facts["run_id"], verdict, "FINISHED")
        for facts, verdict in ((first, "promoted"), (better, "promoted"), (worse, "kept"))
    ]
    assert [run.data.metrics["evaluation.test.accuracy"] for run in runs] == [
        facts["evaluation"]["test"]["accuracy"] for facts in (first, better, worse)
    ]
    assert int(client.get_model_version_by_alias(name, "champion").version) == 1
    assert client.get_model_version(name, "2").tags["recast.withdrawn"] == "was taken back: a try"

    went = run_command(prune, "--keep-runs", "1")
    assert " 2 runs, " in went, "one that changed nothing, and the worse one"
    assert " images, " not in went
    again = retrain_on(15)
    assert all(step["cached"] for step in again["steps"].values())
    assert again["release"] == unchanged["release"]
    assert answering() == 1
