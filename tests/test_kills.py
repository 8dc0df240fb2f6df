"""Kills: a training or a release that is killed at a random moment ends as an uninterrupted one. The short form."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[1]


def series(benchmark: str, tmp_path: Path, *words: str) -> tuple[dict, list[str]]:
    """The figures of a short series of kills, and the lines that it printed."""
    command = [sys.executable, ROOT / "benchmarks" / benchmark, *words, "--json", str(tmp_path / "kills.json")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    return json.loads((tmp_path / "kills.json").read_text()), ended.stdout.splitlines()


def test_killed_trainings_end_with_equal_weights(tmp_path):
    figures, lines = series("kills.py", tmp_path, "--kills", "2", "--epochs", "12", "--seed", "0")
    assert (figures["kills"], figures["equal"]) == (2, 2)
    assert {trial["digest"] for trial in figures["trials"]} == {figures["left_alone"]["digest"]}
    assert len(lines) == 5


def test_killed_releases_leave_a_model_in_use_and_the_next_run_ends_them(tmp_path):
    figures, _ = series("release_kills.py", tmp_path, "--kills", "2", "--seed", "1")
    assert (figures["kills"], figures["ended"]) == (2, 2)
    for trial in figures["trials"]:
        assert trial["then"] in (1, 2)
        assert (trial["after"], trial["versions"]) == (2, 2)
