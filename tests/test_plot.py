"""Plot: each picture shows what its caption says, drawn without a screen."""

import io

import numpy as np
import pytest
from nasty import NASTY
from PIL import Image

from tasks import plot as verb
from tasks.dataset.duplicates import Copy
from tasks.evaluation.metrics import score
from tasks.inference.decision import DecisionRule
from tasks.records.results import Epoch
from tasks.records.rows import Prediction, Row
from tasks.reporting.words import ProductWords
from tasks.settings.settings import Classes
from tasks.settings.settings import EvaluationSettings as Settings
from tasks.storage.files import store
from tasks.storage.tables import read_table, store_table


def epochs(*losses):
    """(training loss, validation loss) of each epoch."""
    return tuple(
        Epoch(epoch=number, loss=loss, accuracy=0.9, validation_loss=watched, validation_accuracy=0.9)
        for number, (loss, watched) in enumerate(losses, start=1)
    )


@pytest.fixture
def steps_before_plot(prepared, places, model, evaluation):
    """The steps before `plot`, with a network that has learnt nothing and a table in which every third test image is called wrongly."""
    from tasks.networks import networks

    *_, audited, splits = prepared(train=20, test=8)  # few enough for one process
    rows = [row for row in read_table(splits.table.path(places), Row) if row.split == "test"]
    predictions = [prediction(row, wrongly=number % 3 == 0) for number, row in enumerate(rows)]
    file = store(lambda path: networks.save(networks.build("compact", 32), path), places, "data", "networks/any.keras")
    judged = score(predictions, Classes(), Settings())
    rule = DecisionRule(
        classes=Classes(), model="compact", network_sha256=file.sha256, view="raw", image_size=32, temperature=2.0
    )
    evaluation = evaluation.model_copy(
        update={
            "predictions": store_table("predictions", predictions, Prediction, places),
            "decision": store(
                lambda path: path.write_text(rule.model_dump_json()), places, "data", "decisions/decision.json"
            ),
            "test": judged,
        }
    )
    history = epochs((0.5, 0.6), (0.2, 0.4))
    return (
        audited,
        splits,
        model.model_copy(update={"file": file, "history": history, "kept_epoch": 2}),
        evaluation,
        ProductWords("gear", "gears"),
    )


def prediction(row: Row, *, wrongly: bool) -> Prediction:
    chance = 0.9 if (row.label == "def_front") != wrongly else 0.1
    decision = "reject" if chance > 0.5 else "pass"
    reason = f"defect probability {chance:.1%}, and the limit is 50.0%"
    return Prediction(
        row.path, row.sha256, row.split, row.origin, row.label, row.group, chance, decision, reason, "above_limit"
    )


def test_the_figures_are_drawn_and_can_be_read(steps_before_plot, places):
    figures = verb.plot.fn(*steps_before_plot, places).figures
    assert [figure.name for figure in figures] == ["samples", "learning", "confusion", "mistakes", "found"]
    for figure in figures:
        with Image.open(figure.file.path(places)) as picture:
            assert np.asarray(picture.convert("L")).std() > 5, f"{figure.name} is blank"
        assert figure.file.path(places).stat().st_size < 300_000, "the Prefect UI keeps figures in its database"


def test_what_the_audit_found_is_shown_before_what_was_learnt(steps_before_plot, places):
    audited, splits, *rest = steps_before_plot
    rows = read_table(splits.table.path(places), Row)
    one, other = (next(row for row in rows if row.published == name) for name in ("train", "test"))
    known = (getattr(row, name) for row in (one, other) for name in ("path", "sha256", "origin", "published"))
    pair = Copy(*known, transform="turn 90", score=0.98)
    audited = audited.model_copy(update={"pairs": store_table("audit", [pair], Copy, places)})
    same = [row._replace(group=one.sha256) if row.sha256 == other.sha256 else row for row in rows]
    splits = splits.model_copy(update={"table": store_table("splits", same, Row, places)})
    figures = verb.plot.fn(audited, splits, *rest, places).figures
    shown = ["leak", "copies", "castings", "shared"] + ["mixed"] * (one.label != other.label)
    assert [figure.name for figure in figures] == [*shown, "samples", "learning", "confusion", "mistakes", "found"]
    for figure in figures[: len(shown)]:
        with Image.open(figure.file.path(places)) as picture:
            assert picture.format == "JPEG"
        assert figure.file.path(places).stat().st_size < 300_000
    assert "Of 16 published test images 0 lie in train byte by byte, 1 more are changed copies" in figures[0].caption
    assert "and 0 more show gears of train" in figures[0].caption
    assert figures[2].title == "The largest gears"
    assert figures[-2].caption.endswith("the worst of each gear first.")
    assert verb.plot.fn(audited, splits, *rest, places).figures == figures


def test_the_same_figures_have_the_same_bytes(steps_before_plot, places):
    assert verb.plot.fn(*steps_before_plot, places) == verb.plot.fn(*steps_before_plot, places)


def test_overfitting_is_told_when_validation_rises_and_training_falls():
    assert "began to over-fit" in verb.overfitting(epochs((0.5, 0.5), (0.3, 0.3), (0.1, 0.6)), kept_epoch=2)
    assert "no sign" in verb.overfitting(epochs((0.5, 0.5), (0.3, 0.3)), kept_epoch=2)
    assert "better than new ones" in verb.overfitting(epochs((0.5, 0.9), (0.1, 0.6)), kept_epoch=2)


@pytest.mark.parametrize("name", [*NASTY, "$x_$"])
def test_a_class_of_any_name_is_drawn_without_a_warning(name, evaluation):
    classes = Classes.model_construct(defect=name, good="ok_front")
    figure = verb.confusion(evaluation.test, classes)
    figure.savefig(io.BytesIO(), dpi=30)
    drawn = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert drawn == [verb.short_name(name), "ok_front"]
    assert len(drawn[0]) <= verb.LONGEST
