"""Crossfit: every image is judged once by a network that never saw its part, and nothing that is trained is trained again."""

import json

import pytest
from conftest import copy_places, prepare, write_dataset

from flows.train_fold import train_fold as fold_flow
from tasks import crossfit as verb
from tasks.crossfit import crossfit, plan_folds
from tasks.evaluate import evaluate
from tasks.inference.decision import read
from tasks.inference.scoring import UNSEEN, decide_out_of_fold
from tasks.records.rows import CAUSES, OutOfFoldRow, Prediction, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import CrossfitSettings, EvaluationSettings, Places, TrainingSettings
from tasks.storage.files import erase
from tasks.storage.tables import read_table
from tasks.train import train
from tasks.training import fold_training
from tasks.training.fold_training import stored_fold, train_fold, train_in_process

pytestmark = pytest.mark.usefixtures("tensorflow")
RECIPE = TrainingSettings(model="compact", epochs=2, image_size=32).recipe()
SETTINGS, VALIDATION, SHARE = CrossfitSettings(folds=2), 0.3, 0.01


@pytest.fixture(scope="module")
def made(tensorflow, photograph, tmp_path_factory):
    """(places, splits, out of fold, model): two folds and the network beside them, trained once and never changed by a test."""
    top = tmp_path_factory.mktemp("folds")
    places = Places(data=top / "data", artifacts=top / "artifacts")
    *_, splits = prepare(write_dataset(top, photograph, {"train": 16, "test": 8}), places)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(verb, "train_in_process", train_fold)  # quicker
        out_of_fold = run(splits, places)
    return places, splits, out_of_fold, train.fn(splits, RECIPE, places)


@pytest.fixture
def copied(made, places):
    """(splits, out of fold, model) in places of the test's own."""
    copy_places(made[0], places)
    return made[1:]


@pytest.fixture
def splits(prepared):
    return prepared(train=16, test=8)[-1]


@pytest.fixture
def trainings(monkeypatch) -> list[str]:
    """The tables of the trainings that were run. Folds are trained in this process, which is quicker."""
    tables = []

    def note(images, *rest):
        tables.append(images.table.sha256)
        return real(images, *rest)

    real = fold_training.train_network
    monkeypatch.setattr(fold_training, "train_network", note)
    monkeypatch.setattr(verb, "train_in_process", train_fold)
    return tables


def run(splits, places, **changed):
    given = {
        "recipe": RECIPE,
        "settings": SETTINGS,
        "validation_fraction": VALIDATION,
        "unlike_share": SHARE,
        **changed,
    }
    return crossfit.fn(splits, **given, places=places)


def test_every_image_is_judged_once_by_a_network_that_never_saw_its_group(copied, places):
    splits, out_of_fold, _ = copied
    rows = read_table(splits.table.path(places), Row)
    judged = read_table(out_of_fold.judged.path(places), OutOfFoldRow)
    assert [(image.path, image.sha256, image.label) for image in judged] == [
        (row.path, row.sha256, row.label) for row in rows
    ]
    assert {image.fold for image in judged} == {1, 2}
    plans = plan_folds(rows, splits, RECIPE, SETTINGS, VALIDATION, SHARE, places)
    for plan in plans:
        own = read_table(plan.images.table.path(places), Row)
        tested = {row.group for row in own if row.split == "test"}
        assert tested.isdisjoint(row.group for row in own if row.split != "test")
        assert {row.sha256 for row in own if row.split == "test"} == {
            image.sha256 for image in judged if image.fold == plan.number
        }
    assert out_of_fold.damage(places) is None


def test_what_is_trained_is_not_trained_again(copied, places, trainings):
    splits, first, _ = copied
    assert run(splits, places) == first
    run(splits, places, unlike_share=0.02)
    assert trainings == [], "the networks are there: only their judgment is new"
    erase(first.folds[0].judged.path(places))
    assert run(splits, places).folds[0].judged == first.folds[0].judged
    assert trainings == []
    erase(first.folds[1].model.file.path(places))
    run(splits, places)
    assert len(trainings) == 1, "the fold whose network is lost is trained again"
    run(splits, places, settings=CrossfitSettings(folds=3))
    assert len(trainings) == 1 + 3


def test_another_cost_changes_decisions_and_trains_nothing(copied, places, trainings):
    splits, out_of_fold, model = copied
    cheap, dear = (
        evaluate.fn(splits, model, EvaluationSettings(review_cost=cost), out_of_fold, places) for cost in (0.01, 0.5)
    )
    assert trainings == []
    assert cheap.crossfit.score.reviews_decided > dear.crossfit.score.reviews_decided
    assert cheap.crossfit.score.missed_defects == dear.crossfit.score.missed_defects
    assert cheap.temperature == dear.temperature == out_of_fold.temperature


def test_all_images_are_scored_in_all_by_fold_and_by_origin(copied, places):
    splits, out_of_fold, model = copied
    result = evaluate.fn(splits, model, EvaluationSettings(), out_of_fold, places).crossfit
    assert result.score.images == splits.images == sum(fold.images for fold in result.folds)
    assert list(result.slices) == ["base"]
    assert result.score.missed_defects == sum(fold.missed_defects for fold in result.folds)
    predictions = read_table(result.predictions.path(places), Prediction)
    assert {image.split for image in predictions} == {"fold 1", "fold 2"}
    assert {image.group for image in predictions} == {""}, "in these photographs no part is known"
    assert evaluate.fn(splits, model, EvaluationSettings(), None, places).crossfit is None


def test_a_process_of_its_own_stores_the_fold_and_repeats_what_it_says(splits, places, process, capfd):
    rows = read_table(splits.table.path(places), Row)
    plan, _ = plan_folds(rows, splits, RECIPE, SETTINGS, VALIDATION, SHARE, places)
    train_in_process(plan, places)
    assert "fold 1 of 2: epoch 2 of 2: loss" in capfd.readouterr().out
    assert stored_fold(plan, places).model.images == plan.images.by_split["train"]


def test_a_process_says_what_is_wrong_with_the_images_in_one_line(splits, places, process):
    rows = read_table(splits.table.path(places), Row)
    ring = TrainingSettings(model="ring", epochs=1).recipe()
    plan, _ = plan_folds(rows, splits, ring, SETTINGS, VALIDATION, SHARE, places)
    with pytest.raises(BadInput, match=r"^fold 1 of 2: a ring is found in 0 of .*; take --model patch$"):
        train_in_process(plan, places)


def test_what_the_network_cannot_see_goes_to_a_person_at_any_cost(copied, places):
    splits, out_of_fold, model = copied
    evaluation = evaluate.fn(splits, model, EvaluationSettings(), out_of_fold, places)
    image = read_table(out_of_fold.judged.path(places), OutOfFoldRow)[0]
    rule = read(evaluation.decision.path(places)).model_copy(update={"review_band": None})
    (prediction,) = decide_out_of_fold(
        [image._replace(margin=0.0, review_cause="no_ring", reason=CAUSES["no_ring"])], rule
    )
    assert (prediction.decision, prediction.cause, prediction.defect_probability) == ("review", "no_ring", UNSEEN)


def test_a_fold_is_a_flow_that_a_worker_can_run(splits, places, trainings):
    rows = read_table(splits.table.path(places), Row)
    plan, _ = plan_folds(rows, splits, RECIPE, SETTINGS, VALIDATION, SHARE, places)
    words = json.loads(json.dumps({"plan": plan.model_dump(mode="json"), "places": places.model_dump(mode="json")}))
    given = fold_flow.validate_parameters(words)
    assert given["plan"] == plan, "what a server hands on is the same plan"
    fold = fold_flow.fn(**given)
    assert stored_fold(plan, places) == fold


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="crossfit.folds is 1, which leaves no part to learn from"):
        CrossfitSettings(folds=1)
