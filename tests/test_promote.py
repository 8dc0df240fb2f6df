"""Promote: a person decides about versions, by name, with a way back, and never by halves."""

import sys

import pytest
from conftest import put_into_use, run_folder, write_model_folder

from flows import promote
from tasks.settings.cli import exit_status
from tasks.settings.errors import BadInput
from tasks.tracking import connection, registry


@pytest.fixture
def two_versions(registered):
    for text in ("one", "two"):
        put_into_use(write_model_folder(text, registered), registered, f"run of {text}")
    return registered


@pytest.fixture
def say(places, monkeypatch, capsys):
    """Runs the command in this process: (exit status, standard output, standard error)."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["promote.py", *map(str, words), "--artifacts", str(places.artifacts)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        status = exit_status(promote.main)
        return status, *capsys.readouterr()

    return run


def test_a_version_comes_into_use_by_name(two_versions, say):
    assert say("--version", 1) == (0, "version 1 is in use, version 2 no longer\n", "")
    assert registry.champion(two_versions).number == 1
    assert say("--version", 1) == (0, "version 1 is in use already\n", "")


def test_a_rollback_says_what_is_in_use_now_and_why(two_versions, say):
    status, said, _ = say("--rollback", "--reason", "it refused a whole shift")
    assert (status, said) == (0, "version 1 is in use again, version 2 was taken back\n")
    assert registry.version(2, two_versions).withdrawn == "was taken back: it refused a whole shift"


def test_what_was_taken_back_can_be_promoted_by_name_and_then_by_runs(two_versions, say):
    say("--rollback")
    assert say("--version", 2)[0] == 0
    assert registry.version(2, two_versions).withdrawn is None
    assert registry.champion(two_versions).number == 2


def test_the_list_shows_versions_with_what_they_are(two_versions, say):
    say("--rollback", "--reason", "too strict")
    status, said, _ = say("--list")
    first, second = said.splitlines()[1:]
    assert status == 0
    assert first.split()[:2] == ["1", "champion"]
    assert second.split()[:2] == ["2", "withdrawn"]
    assert "was taken back: too strict" in second
    assert "run of one" in first


def test_an_empty_registry_lists_nothing_and_makes_nothing(say, places):
    status, said, _ = say("--list")
    assert (status, len(said.splitlines())) == (0, 1)
    assert not places.artifacts.exists()


@pytest.mark.parametrize("words", [[], ["--version", 1, "--rollback"], ["--refuse", 1, "--version", 1]])
def test_one_thing_is_said_at_a_time(say, words):
    status, _, error = say(*words)
    assert (status, error) == (2, "error: say one thing: --version N, --rollback, --refuse N, or --list\n")


@pytest.mark.parametrize("words", [["--version", 9], ["--refuse", 9]])
def test_a_version_that_is_not_there_is_told(two_versions, say, words):
    status, _, error = say(*words)
    assert status == 2
    assert "there is no version 9 of recast in sqlite" in error
    assert registry.champion(two_versions).number == 2


def test_what_is_meant_is_the_model_of_the_last_run_that_was_not_of_the_sample(two_versions, say):
    toys = two_versions.with_model("recast-sample")
    for text in ("toy", "better toy"):
        put_into_use(write_model_folder(text, two_versions), toys, f"run of {text}")
    run_folder(two_versions, "1", "castings.zip", "recast")
    run_folder(two_versions, "2", "sample", "recast-sample")
    assert say("--version", 1)[1] == "version 1 is in use, version 2 no longer\n"
    assert (registry.champion(two_versions).number, registry.champion(toys).number) == (1, 2)
    named = "--places.registered_model", "recast-sample"
    assert say("--rollback", *named)[1] == "version 1 of recast-sample is in use again, version 2 was taken back\n"
    said = say("--list", *named)[1]
    assert said.startswith("recast-sample") and "run of better toy" in said
    assert "toy" not in say("--list")[1]


def test_a_version_whose_files_are_gone_does_not_come_into_use(two_versions, say, places):
    import shutil

    shutil.rmtree(places.artifacts / "models")
    shutil.rmtree(places.artifacts / "mlflow")
    status, _, error = say("--version", 1)
    assert status == 2
    assert "the files of version 1 in sqlite" in error
    assert registry.champion(two_versions).number == 2


def test_the_list_says_that_nothing_is_in_use_and_what_mends_it(two_versions, say):
    connection.client(two_versions).delete_registered_model_alias("recast", "champion")
    status, said, _ = say("--list")
    assert status == 0
    assert said.splitlines()[-1].endswith(
        "`flows/promote.py --version 2 --places.registered_model recast` brings the last one back into use"
    )
    assert say("--version", 2)[:2] == (0, "version 2 is in use\n")
    assert "flows/promote.py" not in say("--list")[1]


def test_what_is_refused_says_so_and_keeps_the_reason(two_versions, say):
    assert say("--refuse", 1, "--reason", "of a broken camera")[:2] == (
        0,
        "version 1 is refused: no run promotes it\n",
    )
    assert registry.version(1, two_versions).withdrawn == "was refused: of a broken camera"


def test_the_flow_does_and_says_what_the_command_does(two_versions, capsys):
    said = promote.promote.fn(version=1, places=two_versions)
    assert said == "version 1 is in use, version 2 no longer"
    assert capsys.readouterr().out == f"{said}\n"


def test_a_person_who_says_no_refuses_the_version(two_versions):
    said = promote.apply_answer(
        registry.version(1, two_versions), promote.ApprovalAnswer(promote=False, reason="too strict"), two_versions
    )
    assert said == "version 1 is refused: no run promotes it"
    assert registry.version(1, two_versions).withdrawn == "was refused: too strict"
    assert registry.champion(two_versions).number == 2


def test_a_person_who_says_yes_puts_the_version_into_use(two_versions):
    waiting = registry.version(1, two_versions).model_copy(update={"champion_before": 2})
    assert (
        promote.apply_answer(waiting, promote.ApprovalAnswer(promote=True), two_versions)
        == "version 1 is in use, version 2 no longer"
    )


def test_a_version_that_was_judged_beside_another_one_is_not_put_into_use_by_an_answer(two_versions):
    waiting = registry.version(1, two_versions).model_copy(update={"champion_before": 7})
    with pytest.raises(BadInput, match="version 1 was judged beside version 7, and version 2 is in use now"):
        promote.apply_answer(waiting, promote.ApprovalAnswer(promote=True), two_versions)
    assert registry.champion(two_versions).number == 2


def test_nobody_is_asked_about_a_version_that_does_not_wait(two_versions, capsys):
    assert promote.approve.fn(2, two_versions) == "version 2 does not wait for an answer"


def test_of_two_machines_that_promote_at_once_the_later_is_told_to_look_again(two_versions, say, monkeypatch):
    def overtaken(*_: object) -> None:
        raise registry.ChampionChanged

    monkeypatch.setattr(registry, "promote", overtaken)
    status, _, error = say("--version", 1)
    assert (status, error) == (2, "error: another version came into use meanwhile: look at --list, and say it again\n")


def test_an_error_of_either_flow_holds_no_secret(places, monkeypatch):
    def fail(*_: object) -> None:
        raise ConnectionError("no answer from http://me:hunter2@host")

    monkeypatch.setattr(promote, "resolve_model", fail)
    for flow in (promote.approve, promote.promote):
        with pytest.raises(ConnectionError, match=r"^no answer from http://\*\*\*@host$"):
            flow.fn(version=1, places=places)
