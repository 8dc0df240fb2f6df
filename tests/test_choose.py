"""Choose: where most parts show a ring but not nearly all, two networks are tried on parts that do not test."""

import numpy as np
import pytest
from conftest import copy_places, prepare, write_dataset

from tasks import choose as verb
from tasks.choose import choose
from tasks.records.results import Fold
from tasks.records.rows import OutOfFoldRow, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import Places, TrainingSettings
from tasks.storage.tables import read_table, store_table
from tasks.training import fold_training

pytestmark = pytest.mark.usefixtures("tensorflow")
TRAINING, VALIDATION = TrainingSettings(epochs=1), 0.3


@pytest.fixture(scope="module")
def made(tensorflow, photograph, tmp_path_factory):
    """(places, splits), never changed by a test."""
    top = tmp_path_factory.mktemp("splits")
    places = Places(data=top / "data", artifacts=top / "artifacts")
    return places, prepare(write_dataset(top, photograph, {"train": 16, "test": 8}), places)[-1]


@pytest.fixture
def splits(made, places):
    """The splits, in places of the test's own."""
    copy_places(made[0], places)
    return made[1]


@pytest.fixture
def trials(monkeypatch, places):
    """Judges the images of a fold by margins instead of a training; a network without any cannot train."""

    def judge(margins: dict[str, dict[str, float]]) -> list:
        plans = []

        def fold(plan, places):
            plans.append(plan)
            if plan.recipe.model not in margins:
                raise BadInput("no class shows a ring")
            margin = margins[plan.recipe.model]
            rows = [row for row in read_table(plan.images.table.path(places), Row) if row.split == "test"]
            judged = [
                OutOfFoldRow(
                    row.path,
                    row.sha256,
                    row.origin,
                    row.label,
                    row.group,
                    plan.number,
                    margin[row.label],
                    "",
                    "",
                )
                for row in rows
            ]
            return Fold.model_construct(judged=store_table("fold", judged, OutOfFoldRow, places))

        monkeypatch.setattr(verb, "train_fold", fold)
        return plans

    return judge


RIGHT, WRONG, SILENT = ({"def_front": defect, "ok_front": good} for defect, good in ((1, -1), (-1, 1), (0, 0)))


@pytest.mark.parametrize(
    ("margins", "model"),
    [
        ({"ring": RIGHT, "patch": SILENT}, "ring"),
        ({"ring": WRONG, "patch": SILENT}, "patch"),
        ({"ring": RIGHT, "patch": RIGHT}, "patch"),  # which judges every image
        ({"patch": WRONG}, "patch"),  # ring cannot train
    ],
)
def test_the_network_that_ranks_unseen_parts_better_is_chosen(splits, places, trials, margins, model):
    trials(margins)
    choice = choose.fn(splits, TRAINING, VALIDATION, places)
    assert choice.model == model
    assert set(choice.scores) == {"ring", "patch"}
    assert f"ring {choice.scores['ring']:.3f}, patch {choice.scores['patch']:.3f}" in choice.because


def test_no_part_that_tests_is_looked_at_and_every_other_is_judged_once(splits, places, trials):
    plans = trials({"ring": RIGHT, "patch": RIGHT})
    choose.fn(splits, TRAINING, VALIDATION, places)
    tested = {row.path for row in read_table(splits.table.path(places), Row) if row.split == "test"}
    for model in ("ring", "patch"):
        tables = [read_table(plan.images.table.path(places), Row) for plan in plans if plan.recipe.model == model]
        judged = [row.path for rows in tables for row in rows if row.split == "test"]
        assert len(judged) == len(set(judged)) == splits.by_split["train"] + splits.by_split["validation"]
        assert not tested & {row.path for rows in tables for row in rows}


def test_too_few_parts_are_told_and_the_network_for_any_picture_is_taken(splits, places, trials, monkeypatch):
    plans = trials({"ring": RIGHT, "patch": RIGHT})
    monkeypatch.setattr(verb, "FOLDS", 30)
    choice = choose.fn(splits, TRAINING, VALIDATION, places)
    assert (choice.model, choice.scores, plans) == ("patch", {}, [])
    assert choice.because.startswith("a class has too few parts to try ring beside it")


def test_a_trial_is_shorter_than_a_training_unless_epochs_are_set(splits):
    recipe = verb.short_recipe("patch", TrainingSettings(), splits)
    assert recipe.epochs == pytest.approx(verb.SHORT * recipe.spec.min_images / splits.by_split["train"], abs=1)
    assert verb.short_recipe("ring", TRAINING, splits).epochs == 1
    assert recipe.start_from == "scratch"


def test_two_networks_are_trained_and_compared(splits, places, monkeypatch):
    """Small photographs without rings: `ring` cannot train, and `patch` is chosen after real trainings."""
    monkeypatch.setattr(verb, "FOLDS", 2)  # quicker
    trained = []
    real = fold_training.train_network
    monkeypatch.setattr(
        fold_training,
        "train_network",
        lambda images, recipe, places: trained.append(recipe.model) or real(images, recipe, places),
    )
    choice = choose.fn(splits, TRAINING, VALIDATION, places)
    assert choice.model == "patch"
    assert trained.count("patch") == verb.FOLDS
    assert choice.scores["ring"] == 0
    assert np.isfinite(choice.scores["patch"])
