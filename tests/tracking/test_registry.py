"""Registry: versions count up, the champion is one of them and whole, and there is always a way back."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import put_into_use, write_model_folder

from flows import doctor, judge, predict, promote, retrain, watch
from tasks.inference import model_folder
from tasks.pipeline import retention
from tasks.records.results import Release
from tasks.settings.errors import BadInput
from tasks.settings.settings import Config, Places
from tasks.storage.files import tree_digest
from tasks.tracking import connection, mlflow_location, queries, registry, runs, stored_files


@pytest.fixture
def three_versions(registered):
    """Three versions; the last is in use."""
    for text in ("one", "two", "three"):
        put_into_use(write_model_folder(text, registered), registered)
    return registered


def aliases(places) -> dict[str, int]:
    return {alias: one.number for one in registry.versions(places) for alias in one.aliases}


def test_a_command_of_a_message_names_its_model_for_the_last_run_may_have_been_of_another(places):
    assert registry.model_option(places) == " --places.registered_model recast"
    assert registry.model_option(places.with_model("big gears")) == " --places.registered_model 'big gears'"


def test_before_the_first_promotion_nothing_is_in_use_and_a_question_makes_nothing(places):
    assert registry.champion(places) is None
    assert registry.versions(places) == []
    assert not places.artifacts.exists()


def test_the_newest_version_is_the_champion_and_knows_the_one_before(three_versions):
    assert [(one.number, one.champion_before) for one in registry.versions(three_versions)] == [
        (1, None),
        (2, 1),
        (3, 2),
    ]
    assert registry.champion(three_versions).number == 3
    assert aliases(three_versions) == {"champion": 3, "previous": 2}
    assert registry.version(1, three_versions).model == write_model_folder("one", three_versions).name


def test_a_version_that_is_not_there_is_told_with_those_that_are(registered):
    with pytest.raises(BadInput, match="no version 1 of recast in sqlite.*: there is none yet"):
        registry.version(1, registered)
    put_into_use(write_model_folder("one", registered), registered)
    put_into_use(write_model_folder("two", registered), registered)
    with pytest.raises(BadInput, match="no version 7 of recast in .*: there are 1, 2"):
        registry.version(7, registered)


def test_a_decision_makes_one_version_however_often_it_is_taken_up(registered):
    folder = write_model_folder("one", registered)
    mlflow_run_id = runs.begin("what of it", "run", registered)
    first, again = (
        registry.register(folder, "compact", mlflow_run_id, "run", "good", None, registered) for _ in range(2)
    )
    assert first.number == again.number == 1
    assert len(registry.versions(registered)) == 1


def test_runs_that_promote_at_once_get_versions_of_their_own(registered):
    folders = [write_model_folder(f"{number}", registered) for number in range(6)]

    def promote(folder) -> registry.Version:
        with registry.promotion_lock(registered):
            return put_into_use(folder, registered)

    with ThreadPoolExecutor(max_workers=6) as pool:
        made = list(pool.map(promote, folders))
    assert sorted(one.number for one in made) == list(range(1, 7))
    assert [registry.version(one.number, registered).model for one in made] == [folder.name for folder in folders]
    assert registry.champion(registered).number == 6, "the last one to promote is in use"


def test_who_decided_against_an_earlier_champion_is_told(three_versions):
    with pytest.raises(registry.ChampionChanged):
        registry.promote(1, 2, three_versions)
    assert registry.champion(three_versions).number == 3


def test_a_rollback_goes_back_to_what_was_in_use_before_and_on(three_versions):
    now, before = registry.rollback("was taken back", three_versions)
    assert (now.number, before.number) == (2, 3)
    assert aliases(three_versions) == {"champion": 2, "previous": 1}
    assert registry.version(3, three_versions).withdrawn == "was taken back"
    assert registry.rollback("was taken back too", three_versions)[0].number == 1
    assert aliases(three_versions) == {"champion": 1}
    with pytest.raises(BadInput, match="version 1 is the only one that can be used"):
        registry.rollback("once more", three_versions)
    assert aliases(three_versions) == {"champion": 1}


def test_a_rollback_passes_over_versions_whose_files_were_removed(three_versions):
    stored_files.delete_version_files(2, three_versions)
    assert registry.rollback("was taken back", three_versions)[0].number == 1


def test_a_rollback_passes_over_versions_that_were_taken_back(three_versions):
    registry.rollback("was taken back", three_versions)
    put_into_use(write_model_folder("four", three_versions), three_versions)
    assert aliases(three_versions) == {"champion": 4, "previous": 2}
    assert registry.rollback("again", three_versions)[0].number == 2


def test_nothing_in_use_cannot_be_taken_back(registered):
    with pytest.raises(BadInput, match="no model is in use in sqlite"):
        registry.rollback("why not", registered)


def test_a_crash_between_the_list_and_the_alias_leaves_the_way_back(three_versions, monkeypatch):
    from mlflow import MlflowClient

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(MlflowClient, "set_registered_model_alias", crash)
        registry.promote(1, 3, three_versions)
    assert registry.champion(three_versions).number == 3
    assert registry.champion_history(three_versions) == [1, 2, 3], "what never came into use is no way back"
    assert registry.rollback("was taken back", three_versions)[0].number == 2


def test_a_refused_challenger_waits_no_longer(three_versions):
    registry.rollback("was taken back", three_versions)
    registry.challenge(3, three_versions)
    registry.refuse(3, "was refused", three_versions)
    assert aliases(three_versions) == {"champion": 2, "previous": 1}
    with pytest.raises(BadInput, match="version 2 is in use: take it back by --rollback"):
        registry.refuse(2, "was refused", three_versions)


def test_a_folder_that_is_lost_or_damaged_comes_back_from_the_registry(three_versions):
    now = registry.champion(three_versions)
    folder = model_folder.path(now.model, three_versions)
    shutil.rmtree(folder)
    assert model_folder.identity(model_folder.ensure_local(now, three_versions)) == now.model
    (folder / "decision.json").write_text("changed")
    assert model_folder.identity(model_folder.ensure_local(now, three_versions)) == now.model


def test_a_model_that_is_damaged_in_the_registry_too_is_not_used(three_versions):
    now = registry.champion(three_versions)
    shutil.rmtree(model_folder.path(now.model, three_versions))
    for stored in (three_versions.artifacts / "mlflow").rglob(f"{now.model}/decision.json"):
        stored.write_text("changed")
    with pytest.raises(BadInput, match="the files of version 3 in sqlite.* have changed since they were released"):
        model_folder.ensure_local(now, three_versions)
    assert not model_folder.path(now.model, three_versions).exists()


def test_what_mlflow_serves_is_checked_before_any_of_it_is_imported(three_versions, tmp_path):
    now = registry.champion(three_versions)
    model_folder.fetch_servable(now, tmp_path / "first", three_versions)
    assert tree_digest(tmp_path / "first") == now.stored
    assert (tmp_path / "first/code/tasks/inference/pyfunc.py").is_file()
    old = now.model_copy(update={"stored": None})
    model_folder.fetch_servable(old, tmp_path / "old", three_versions)
    assert {path.name for path in (tmp_path / "old").iterdir()} == {
        path.name for path in (tmp_path / "first").iterdir()
    }
    for code in (three_versions.artifacts / "mlflow").rglob("pyfunc.py"):
        code.write_text("import os")
    with pytest.raises(BadInput, match="the files of version 3 in sqlite.* have changed since they were released"):
        model_folder.fetch_servable(now, tmp_path / "second", three_versions)


def test_another_name_is_another_model(three_versions):
    other = Places(data=three_versions.data, artifacts=three_versions.artifacts, registered_model="gears")
    assert registry.champion(other) is None
    put_into_use(write_model_folder("four", other), other)
    assert (registry.champion(other).number, registry.champion(three_versions).number) == (1, 3)


def test_a_challenger_waits_until_it_comes_into_use(three_versions):
    registry.challenge(1, three_versions)
    registry.sync_aliases(three_versions)
    assert aliases(three_versions) == {"champion": 3, "previous": 2, "challenger": 1}
    registry.promote(1, 3, three_versions)
    assert aliases(three_versions) == {"champion": 1, "previous": 3}


def test_who_ends_what_a_killed_run_began_is_named_with_its_version(three_versions):
    registry.adopt(3, "second-run", three_versions)
    assert [one.run_id for one in registry.versions(three_versions)] == ["first-run", "first-run", "second-run"]


def test_what_was_taken_back_may_come_again_where_a_person_says_so(three_versions):
    registry.rollback("was taken back", three_versions)
    for number in (3, 2):  # 2 was not taken back
        registry.withdraw(number, None, three_versions)
    assert [one.withdrawn for one in registry.versions(three_versions)] == [None] * 3


def test_a_version_that_somebody_made_by_hand_stops_no_question(three_versions):
    connection.client(three_versions).create_model_version(
        three_versions.registered_name, str(write_model_folder("four", three_versions))
    )
    made = registry.version(4, three_versions)
    assert (made.model, made.run_id, made.reason, made.champion_before, made.tracked) == ("", "", "", None, "")
    assert registry.champion(three_versions).number == 3


def test_what_is_in_use_is_remembered(three_versions, monkeypatch):
    assert registry.champion(three_versions).number == 3
    monkeypatch.setattr(queries, "query", lambda *_: pytest.fail("MLflow was asked again"))
    assert registry.champion(three_versions).number == 3


def remove_alias(places: Places) -> None:
    connection.client(places).delete_registered_model_alias(places.registered_name, registry.CHAMPION)


COMMANDS = {
    "predict": lambda places: predict.choose_model(predict.PredictArguments(images=("a.jpeg",), places=places)),
    "judge": lambda places: judge.judge_by_champion(places.data, None, 0, places),
    "promote --rollback": lambda places: promote.change(None, True, None, "", places),
    "prune": lambda places: retention.prune(1, places),
    "prune --dry-run": lambda places: retention.prune(1, places, dry=True),
    "watch": watch.champion_predictor,
    "retrain": lambda places: retrain.preflight(Config(places=places)),
    "release": registry.champion,
}


def test_every_command_says_what_brings_a_version_back_whose_alias_was_removed(three_versions):
    remove_alias(three_versions)
    why = "no version of recast is in use in sqlite.*: the alias `champion` was removed; "
    why += "`flows/promote.py --version 3 --places.registered_model recast` brings the last one back into use"
    for command in COMMANDS.values():
        with pytest.raises(BadInput, match=why):
            command(three_versions)
    assert "flows/promote.py --version 3" in doctor.model(three_versions)
    assert all(model_folder.path(one.model, three_versions).is_dir() for one in registry.versions(three_versions)), (
        "nothing was pruned"
    )
    assert promote.change(3, False, None, "", three_versions) == "version 3 is in use"
    assert aliases(three_versions) == {"champion": 3, "previous": 2}, "and the way back is as it was"
    assert doctor.model(three_versions).startswith("version 3, ")


def test_every_command_says_what_to_restore_where_the_database_was_lost(three_versions):
    mlflow_location.path_of(three_versions).unlink()
    for command in [*COMMANDS.values(), connection.client]:
        with pytest.raises(
            BadInput, match=r"mlflow\.db is missing, and .* holds what runs have made .models: 3.*cp BACKUP/mlflow\.db"
        ):
            command(three_versions)
    assert "cp BACKUP/mlflow.db" in doctor.model(three_versions)
    assert not mlflow_location.path_of(three_versions).exists()


def test_who_came_into_use_instead_is_followed_by_the_last_that_can_be_used(three_versions):
    registry.withdraw(3, "was refused", three_versions)
    connection.client(three_versions).delete_model_version(three_versions.registered_name, "2")
    remove_alias(three_versions)
    with pytest.raises(BadInput, match="--version 1 --places.registered_model recast` brings the last one back"):
        registry.champion(three_versions)
    stored_files.delete_version_files(1, three_versions)
    with pytest.raises(
        BadInput,
        match="each version that was in use was taken back; `flows/promote.py --list --places.registered_model recast` shows all",
    ):
        registry.champion(three_versions)
    promote.change(3, False, None, "", three_versions)
    assert registry.champion(three_versions).number == 3


def test_where_no_version_is_left_the_next_one_is_a_first_one(three_versions):
    for number in "123":
        connection.client(three_versions).delete_model_version(three_versions.registered_name, number)
    assert registry.champion(three_versions) is None
    put_into_use(write_model_folder("four", three_versions), three_versions)
    assert (registry.champion_history(three_versions), registry.previous(three_versions)) == ([4], None)


def test_the_command_names_the_registered_model(three_versions):
    other = Places(data=three_versions.data, artifacts=three_versions.artifacts, registered_model="big gears")
    put_into_use(write_model_folder("four", other), other)
    remove_alias(other)
    with pytest.raises(BadInput, match="promote.py --version 1 --places.registered_model 'big gears'` brings"):
        registry.champion(other)
    assert registry.champion(three_versions).number == 3


def test_a_champion_that_was_deleted_is_told_too(three_versions):
    connection.client(three_versions).delete_model_version(three_versions.registered_name, "3")
    with pytest.raises(BadInput, match="--version 2 --places.registered_model recast` brings the last one back"):
        registry.champion(three_versions)


def test_before_the_first_promotion_and_amid_it_no_alias_was_removed(registered):
    mlflow_run_id = runs.begin("what of it", "run", registered)
    made = registry.register(
        write_model_folder("one", registered), "compact", mlflow_run_id, "run", "good", None, registered
    )
    registry.challenge(made.number, registered)
    assert registry.champion(registered) is None
    decided = Release(verdict="promoted", reason="good", version=1, champion_before=None, decided_in="run")
    runs.save_decision(mlflow_run_id, decided, registered)
    registry.promote(1, None, registered)
    remove_alias(registered)  # as a kill between the list and the alias leaves it
    assert registry.champion(registered) is None, "the next run ends the promotion"
    registry.promote(1, None, registered)
    runs.mark_applied(mlflow_run_id, decided, registered)
    assert registry.champion_history(registered) == [1]
    remove_alias(registered)
    with pytest.raises(BadInput, match="--version 1 --places.registered_model recast` brings"):
        registry.champion(registered)
