"""Fuzz: no damaged file costs more than its own refusal, and the benchmark reports a file that does."""

import json
import sys

import pytest

from benchmarks import fuzz
from tasks.images.decoding import BY_SUFFIX
from tasks.images.file_structure import PNG_SIGNATURE

FORMATS = {form.name: form for form in fuzz.fuzz_targets()}


def test_every_format_that_is_read_is_drawn():
    assert {BY_SUFFIX[form.suffix] for form in FORMATS.values()} == set(BY_SUFFIX.values())
    for form in FORMATS.values():
        assert {fuzz.is_accepted(content, form.suffix) for content in form.files} == {True}
        assert len(set(form.files)) == len(form.files)
        for content in form.files:
            assert b"".join(form.cut(content)) == content
            assert all(form.mend(piece) == piece for piece in form.cut(content)[1:])


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_hundred_damaged_files_are_accepted_or_refused(form):
    found = fuzz.fuzz(form, 100, 0, float("inf"))
    assert found.failures == ()
    assert found.accepted + found.refused == found.files == 100
    assert found.refused > 20, "a BMP has no checksum: most of its damage is another picture"


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_two_thousand_damaged_files_are_accepted_or_refused(form):
    found = fuzz.fuzz(form, 2_000, 1, seconds=60)  # hours, without bounds
    assert found.failures == ()
    assert found.too_slow == 0


def test_the_same_seed_damages_alike():
    form = FORMATS["PNG color, 8 bits"]
    drawn = [[fuzz.damage_file(form, fuzz.Random(f"{seed} {number}")) for number in range(40)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 20
    assert sum(content.startswith(PNG_SIGNATURE) for content in drawn[0]) > 20


@pytest.mark.parametrize("bound", ["0", "60"])
def test_a_decoder_that_fails_is_told_and_a_bound_is_kept(monkeypatch, capsys, tmp_path, bound):
    monkeypatch.setattr(fuzz, "fuzz_targets", lambda: [FORMATS["JPEG baseline"]])
    target = tmp_path / "fuzz.json"
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--files", "20", "--seconds", bound, "--json", str(target)])
    assert fuzz.main() == (bound == "0"), "each file takes longer than nothing"
    assert "JPEG baseline" in capsys.readouterr().out

    def fail(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(fuzz, "decode_content", fail)
    assert fuzz.main() == 1
    figures = json.loads(target.read_text())["JPEG baseline"]
    assert figures["exceptions"] == figures["files"] == 20
    assert figures["failures"][0] == "0: RuntimeError: out of order"
    assert len(figures["failures"]) == fuzz.SHOWN
