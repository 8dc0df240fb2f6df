"""Crossfit section: what all parts show, judged unseen, in the report, in `run.json`, in the run's folder and in MLflow."""

import pytest
from out_of_fold import CLASSES, JUDGED

from tasks.evaluation.crossfit_score import score_out_of_fold
from tasks.records.results import Fold, OutOfFold
from tasks.reporting import report
from tasks.reporting.crossfit_section import MOST_PARTS
from tasks.reporting.html import html
from tasks.reporting.run_folder import write_run
from tasks.reporting.run_json import fill_run_json
from tasks.settings.settings import EvaluationSettings
from tasks.tracking.run_log import metrics_of


@pytest.fixture
def crossfitted(outcome):
    """An outcome in which all parts were judged out of fold, `JUDGED`."""
    from dataclasses import replace

    places = outcome.config.places
    result = score_out_of_fold(JUDGED, CLASSES, EvaluationSettings(), places)
    table = outcome.evaluation.predictions
    folds = tuple(Fold(judged=table, model=outcome.model, temperature=1.0) for _ in result.folds)
    return replace(
        outcome,
        evaluation=outcome.evaluation.model_copy(update={"crossfit": result}),
        out_of_fold=OutOfFold(judged=table, folds=folds, temperature=0.8),
    )


def section(outcome) -> str:
    return next(part.markdown for part in report.sections(outcome) if part.title == "Judged on all parts")


def test_the_report_says_what_all_parts_show_by_fold_origin_and_part(crossfitted):
    text = section(crossfitted)
    assert text.startswith(
        "Each of 6 photographs of 4 parts was judged once, by one of 3 networks that never saw its part."
    )
    assert "- 0 of 2 defective parts escaped: the rate is below 77.6% with 95% confidence." in text
    assert "| all | 6 | 4 | 50.00% | 0.5000 | 2 of 3 | 1 of 3 | 6 |" in text
    assert "| `line 2` |" in text
    assert "| `b/0` | def&#95;front | 2 of 2 |" in text
    assert "<table>" in html(report.sections(crossfitted), "heading", "a run", crossfitted.config.places)


def test_without_folds_there_is_no_such_section_and_no_such_key(outcome):
    assert all(part.title != "Judged on all parts" for part in report.sections(outcome))
    assert fill_run_json(outcome).crossfit is None


def test_parts_that_are_not_known_are_said_to_be(crossfitted):
    predictions = [image._replace(group="") for image in JUDGED]
    result = score_out_of_fold(predictions, CLASSES, EvaluationSettings(), crossfitted.config.places)
    evaluation = crossfitted.evaluation.model_copy(update={"crossfit": result})
    object.__setattr__(crossfitted, "evaluation", evaluation)
    assert "the figures may be too good" in section(crossfitted)


def test_a_long_list_of_parts_is_cut_and_says_so(crossfitted):
    (worst, *_) = crossfitted.evaluation.crossfit.worst
    many = crossfitted.evaluation.crossfit.model_copy(update={"worst": (worst,) * (MOST_PARTS + 2)})
    object.__setattr__(crossfitted, "evaluation", crossfitted.evaluation.model_copy(update={"crossfit": many}))
    assert section(crossfitted).endswith("2 more parts with errors.")


def test_run_json_the_folder_and_mlflow_hold_the_figures(crossfitted, mlflow):
    facts = fill_run_json(crossfitted)
    assert (facts.crossfit.images, facts.crossfit.missed_defects, facts.crossfit.temperature) == (6, 2, 0.8)
    assert [fold.images for fold in facts.crossfit.by_fold] == [1, 3, 2]
    assert facts.crossfit.cpu_seconds == pytest.approx(3 * crossfitted.model.cpu_seconds, abs=0.01)
    assert [part.first for part in facts.crossfit.worst] == ["b/0", "d/0"]
    folder = write_run(crossfitted, "page")
    assert (folder / "out_of_fold.csv").read_text().startswith("path,sha256,split,origin,label,")
    metrics = {metric.key: metric.value for metric in metrics_of(facts.model_dump(mode="json"), (), 0)}
    assert metrics["crossfit.missed_defects"] == 2
