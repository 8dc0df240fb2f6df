"""Kills: a training that is killed at a random moment ends as one that is left alone, in short."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_killed_trainings_end_with_equal_weights(tmp_path):
    words = ["--kills", "2", "--epochs", "12", "--seed", "0", "--json", str(tmp_path / "kills.json")]
    ended = subprocess.run(
        [sys.executable, ROOT / "benchmarks/kills.py", *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    figures = json.loads((tmp_path / "kills.json").read_text())
    assert (figures["kills"], figures["equal"]) == (2, 2)
    assert {trial["digest"] for trial in figures["trials"]} == {figures["left_alone"]["digest"]}
    assert len(ended.stdout.splitlines()) == 5
