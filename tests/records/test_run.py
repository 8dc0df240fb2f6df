"""Run: `run.json` of an older run is read as it was written, and the schema in the docs is that of the model."""

import json
import tarfile
from pathlib import Path

import pytest

from tasks.records.run import RunJson

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def older_runs() -> list[dict]:
    """Return `run.json` of the two runs of the old registry."""
    with tarfile.open(ROOT / "tests/old_registry.tar.xz") as archive:
        names = [
            name for name in archive.getnames() if name.startswith("artifacts/runs/2") and name.endswith("run.json")
        ]
        return [json.load(archive.extractfile(name)) for name in names]


def test_an_older_run_is_read_without_loss(older_runs):
    assert len(older_runs) == 2
    for facts in older_runs:
        run = RunJson.model_validate(facts)
        assert run.schema_version == 0
        assert run.model_dump(mode="json", exclude_unset=True) == facts


def test_what_a_later_version_adds_is_passed_over(older_runs):
    later = {
        **older_runs[0],
        "schema_version": 99,
        "weather": "fine",
        "model": {**older_runs[0]["model"], "color": "blue"},
    }
    assert RunJson.model_validate(later).model == RunJson.model_validate(older_runs[0]).model


def test_what_is_missing_is_none():
    facts = RunJson.model_validate({"config": {}})
    assert facts.config == {}
    assert facts.release is facts.dataset is facts.evaluation is None


def test_the_schema_in_the_docs_is_that_of_the_model():
    """Write it anew by `make schema`."""
    schema = json.loads((ROOT / "docs/run.schema.json").read_text())
    assert schema == RunJson.model_json_schema(mode="serialization")
