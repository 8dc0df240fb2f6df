"""Drift: the summary of new images agrees with what predict says of each, and with the pictures themselves."""

from collections import Counter

import numpy as np
import pytest

from tasks.images.appearance import BRIGHTNESS
from tasks.inference import model_folder
from tasks.inference.out_of_distribution import fit_limits
from tasks.inference.predictor import Predictor
from tasks.monitoring.drift import drift, judge_files
from tasks.reporting.drift_section import drift_section
from tasks.tracking import registry


@pytest.fixture
def model(released, places):
    return Predictor(model_folder.ensure_local(registry.champion(places), places), 1)


@pytest.fixture
def arrivals(dataset):
    """(paths, labels) of a folder of new photographs, one of them broken."""
    folder = dataset({"": 6}, name="line 2", first_seed=300, size=(96, 64))
    (folder / "def_front/cast_0.jpeg").write_bytes(b"no picture")
    paths = sorted(folder.glob("*/*.jpeg"))
    return paths, [path.parent.name for path in paths]


def test_it_counts_what_predict_says(model, arrivals):
    paths, labels = arrivals
    found = drift("line 2", labels, judge_files(paths, model), model)
    said = [answer.decision for answer in model.judge([(path.name, path) for path in paths])]
    pairs = list(zip(labels, said, strict=True))
    assert found.by_class == {"def_front": 6, "ok_front": 6}
    assert found.decisions == dict(Counter(said))
    assert found.escapes == pairs.count(("def_front", "pass"))
    assert found.refusals == pairs.count(("ok_front", "reject"))
    assert sum(found.causes.values()) == said.count("review")
    assert found.unreadable == 1
    assert found.sizes == {"96 x 64": 11}


def test_a_brighter_camera_is_seen(model, dataset):
    paths = sorted(dataset({"": 6}, name="dull", first_seed=300).glob("*/*.jpeg"))
    judged = judge_files(paths, model)
    looks = np.array([one.evidence.appearance for one in judged])
    known = fit_limits(list(looks), [str(number) for number in range(len(looks))], 0.01)
    model.rule = model.rule.model_copy(update={"appearance": known})
    dull = drift("dull", ["ok_front"] * 12, judged, model)
    assert dull.brightness.usual == pytest.approx(looks[:, BRIGHTNESS].mean(), abs=0.11)
    assert dull.brightness.found == pytest.approx(np.median(looks[:, BRIGHTNESS]), abs=0.11)
    bright = [one._replace(evidence=one.evidence._replace(appearance=one.evidence.appearance + 40)) for one in judged]
    shifted = drift("bright", ["ok_front"] * 12, bright, model)
    assert shifted.brightness.found == pytest.approx(dull.brightness.found + 40, abs=0.11)
    assert shifted.brightness.usual == dull.brightness.usual
    assert f"{shifted.brightness.found:g}, usual {dull.brightness.usual:g}" in drift_section([shifted])


def test_of_a_model_that_knows_no_appearance_no_camera_is_brighter(model, arrivals):
    paths, labels = arrivals
    model.rule = model.rule.model_copy(update={"appearance": None})
    found = drift("line 2", labels, judge_files(paths, model), model)
    assert (found.brightness, found.sharpness) == (None, None)


def test_nothing_readable_has_no_figures(model, tmp_path):
    (tmp_path / "a.jpeg").write_bytes(b"no picture")
    found = drift("line 2", ["ok_front"], judge_files([tmp_path / "a.jpeg"], model), model)
    assert (found.unreadable, found.brightness, found.distance, found.decisions) == (1, None, None, {"review": 1})
    assert "cannot be read" in drift_section([found])


def test_the_table_is_one_row_an_origin_and_nothing_in_it_is_markup(model, arrivals):
    paths, labels = arrivals
    told = drift_section([drift("line | 2 `x`", labels, judge_files(paths, model), model)])
    assert len(told.splitlines()) == 3
    assert "`line \\| 2 'x'`" in told
