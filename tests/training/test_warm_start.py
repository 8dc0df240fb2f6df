"""Warm start: training continues from the model in use only where that is fair and possible, and otherwise says why not."""

import shutil

import pytest
from conftest import put_into_use

from tasks.inference.model_folder import identity
from tasks.records.rows import Content, Row
from tasks.settings.settings import ChampionModel, TrainingSettings
from tasks.storage.tables import write_table
from tasks.training import warm_start
from tasks.training.warm_start import WarmStart, champion_model, choose_start, with_replay


def row(content: str, split: str = "train") -> Row:
    return Row(f"{content}.jpeg", content, "ok_front", "base", "", 48, 48, 120.0, 110.0, 9.0, content, split)


ROWS = [row("a"), row("b"), row("new"), row("c", "validation"), row("d", "test"), row("e", "held_back")]
DECISION = """{"classes": {}, "model": "compact", "network_sha256": "aa", "view": "raw", "image_size": 32}"""


@pytest.fixture
def champion(registered, monkeypatch):
    """Puts a model into use that has learnt from these contents, and gives the recipe that continues from it."""
    monkeypatch.setattr(warm_start, "has_equal_shapes", lambda network, recipe: True)

    def make(*learnt: str, **asked):
        places = registered
        folder = places.artifacts / "models/made"
        folder.mkdir(parents=True)
        (folder / "model.keras").write_bytes(b"weights")
        (folder / "decision.json").write_text(DECISION)
        if learnt:
            write_table(folder / "images.csv", map(Content, learnt), Content)
        digest = identity(folder)
        folder = folder.rename(places.artifacts / "models" / digest)
        put_into_use(folder, places)
        used = ChampionModel(digest=digest, model="compact", image_size=32)
        return TrainingSettings(**{"model": "compact", "image_size": 32, "start_from": "champion", **asked}).recipe(
            champion=used
        )

    return make


def test_it_continues_from_the_folder_of_the_model_in_use(champion, places):
    recipe = champion("a", "b")
    found = choose_start(ROWS, recipe, places)
    folder = places.artifacts.absolute() / "models" / recipe.champion.digest
    assert found == WarmStart(recipe.champion.digest, folder / "model.keras", frozenset({"a", "b"}))


def test_it_is_not_asked_for_unless_it_is(champion, places):
    assert choose_start(ROWS, champion("a", start_from="scratch"), places) == "it was not asked to continue"


def test_where_none_is_in_use_it_says_so(places):
    assert choose_start(ROWS, TrainingSettings(start_from="champion").recipe(), places) == "no model is in use"


@pytest.mark.parametrize(
    "changed", [{"model": "ring", "image_size": None}, {"image_size": 64}], ids=["network", "size"]
)
def test_another_network_or_size_is_no_start(champion, places, changed):
    assert choose_start(ROWS, champion("a", **changed), places) == "the model in use is compact of 32 x 32 pixels"


def test_another_crop_is_no_start(champion, places):
    recipe = champion("a").model_copy(update={"crop": "part"})
    assert choose_start(ROWS, recipe, places) == "the model in use looks at whole pictures, and this one at part"


@pytest.mark.parametrize("judging", ["c", "d", "e"])
def test_a_model_that_has_learnt_what_now_judges_is_no_start(champion, places, judging):
    expected = "the model in use was trained on 1 images that now validate, test or are held back"
    assert choose_start(ROWS, champion("a", judging), places) == expected


def test_a_model_that_does_not_tell_what_it_learnt_is_no_start(champion, places):
    assert "does not tell which images" in choose_start(ROWS, champion(), places)


def test_a_folder_that_has_changed_is_no_start(champion, places):
    recipe = champion("a")
    folder = places.artifacts.absolute() / "models" / recipe.champion.digest
    (folder / ".DS_Store").write_bytes(b"left by a desktop")
    assert isinstance(choose_start(ROWS, recipe, places), WarmStart)
    (folder / "model.keras").write_bytes(b"other")
    assert choose_start(ROWS, recipe, places) == f"{folder} has changed"


def test_a_network_that_has_changed_since_is_no_start(places, tmp_path):
    from tasks.networks import networks

    networks.save(networks.build("compact", 32), tmp_path / "compact.keras")
    networks.save(networks.build("tutorial", 32), tmp_path / "other.keras")
    recipe = TrainingSettings(model="compact", image_size=32).recipe()
    assert warm_start.has_equal_shapes(tmp_path / "compact.keras", recipe)
    assert not warm_start.has_equal_shapes(tmp_path / "other.keras", recipe)


def test_the_model_in_use_is_found_by_the_registry(champion, places):
    assert champion_model(places) is None
    recipe = champion("a")
    assert champion_model(places) == recipe.champion


def test_a_model_in_use_whose_folder_is_lost_comes_from_the_registry(champion, places):
    recipe = champion("a")
    (lost := places.artifacts / "models" / recipe.champion.digest / "decision.json").unlink()
    assert champion_model(places) == recipe.champion
    assert lost.is_file()


def test_a_model_in_use_that_cannot_be_had_is_none_to_continue_from(champion, places):
    recipe = champion("a")
    shutil.rmtree(places.artifacts / "models" / recipe.champion.digest)
    shutil.rmtree(places.artifacts / "mlflow")
    assert champion_model(places) is None


def test_all_new_images_are_seen_with_as_many_old_ones(monkeypatch):
    monkeypatch.setattr(warm_start, "FEWEST_OLD", 5)
    old, new = ([row(f"{kind} {number}") for number in range(30)] for kind in ("old", "new"))
    learnt = frozenset(one.sha256 for one in old)
    for fresh, count in ((new, 30), (new[:12], 12), (new[:2], 5), ([], 5)):
        chosen = with_replay([*old, *fresh], learnt, seed=0)
        assert [one for one in chosen if one.sha256 not in learnt] == fresh
        assert len(chosen) == len(set(chosen)) == len(fresh) + count


def test_old_images_are_of_each_origin_in_turn(monkeypatch):
    monkeypatch.setattr(warm_start, "FEWEST_OLD", 9)
    old = [row(f"old {number}") for number in range(30)]
    few = [row(f"few {number}")._replace(origin="line 2") for number in range(3)]
    learnt = frozenset(one.sha256 for one in [*old, *few])
    chosen = with_replay([*old, *few], learnt, seed=0)
    assert len(chosen) == 9
    assert set(few) < set(chosen), "the few of a second camera are not lost among many"


def test_the_seed_draws_the_old_images_and_their_order_does_not(monkeypatch):
    monkeypatch.setattr(warm_start, "FEWEST_OLD", 5)
    old = [row(f"old {number}") for number in range(30)]
    learnt = frozenset(one.sha256 for one in old)
    first = with_replay(old, learnt, seed=0)
    assert set(with_replay(old[::-1], learnt, seed=0)) == set(first)
    assert set(with_replay(old, learnt, seed=1)) != set(first)
