"""Release: a model is promoted or kept out, once, with the rules and the figures that decided it."""

import hashlib
import shutil

import pytest
from conftest import write_model_folder
from mlflow.exceptions import MlflowException

from tasks import release as verb
from tasks.inbox.arrivals import origin_of
from tasks.inference import model_folder
from tasks.records.results import BaselineComparison, Exports, Format, PairedParts, Splits
from tasks.records.rows import Prediction, Row
from tasks.release import Candidate, release
from tasks.settings.errors import BadInput
from tasks.settings.settings import AcceptanceSettings, Classes
from tasks.settings.settings import EvaluationSettings as Costs
from tasks.storage.tables import read_table, store_table
from tasks.tracking import connection, registry, stored_files
from tasks.tracking import runs as mlflow_runs

LAX = AcceptanceSettings(max_escape_rate=1, max_false_reject_rate=1, max_review_rate=1)
STRICT = AcceptanceSettings(max_escape_rate=0, max_false_reject_rate=0)
SOUND = Format(bytes=1_000, images=20, max_difference=0, changed_decisions=0, milliseconds=1)


@pytest.fixture
def candidate(registered):
    """The folder of a model that is no network; another name is another model."""

    def make(name: str, changed: int = 0) -> Exports:
        formats = {"litert": SOUND.model_copy(update={"changed_decisions": changed})}
        return Exports(digest=write_model_folder(name, registered).name, contents=(), formats=formats)

    return make


@pytest.fixture
def predictions_of_test(evaluation, places):
    return [one for one in read_table(evaluation.predictions.path(places), Prediction) if one.split == "test"]


@pytest.fixture
def splits(predictions_of_test, places):
    """The rows behind the predictions."""
    rows = [
        Row(one.path, f"{number:064x}", one.label, one.origin, "", 48, 48, 0, 0, 0, "", "test")
        for number, one in enumerate(predictions_of_test)
    ]
    rows += [rows[0]._replace(sha256="ff" * 32, split="train"), rows[1]._replace(sha256="ee" * 32, split="train")]
    return Splits(
        table=store_table("splits", rows, Row, places), classes=Classes(), images=len(rows), by_split={}, by_class={}, by_origin={},
        held_back=0, castings_by_split=None, test_images_of_trained_castings=None, lookup_accuracy=0.0, shortcuts={},
    )  # fmt: skip


@pytest.fixture
def released(evaluation, splits, model, places, predictions_of_test, candidate, monkeypatch):
    """One defect of ten escapes, two good parts of ten are rejected; what is in use judges as `champion` says, or alike."""

    def run(
        name: str,
        acceptance: AcceptanceSettings,
        run_id: str = "run 1",
        champion=None,
        learnt=(),
        changed=0,
        model_name=None,
        baselines=evaluation.baselines,
    ):
        def judged(digest, rows, places):
            kept = {row.path for row in rows}
            return [one if champion is None else champion(one) for one in predictions_of_test if one.path in kept]

        monkeypatch.setattr(verb, "judge_by", judged)
        monkeypatch.setattr(verb.model_folder, "training_digests", lambda digest, places: frozenset(learnt))
        there = places.with_model(model_name)
        judged_so = evaluation.model_copy(update={"baselines": baselines})
        return release.fn(splits, model, judged_so, candidate(name, changed), Costs(), acceptance, run_id, there)

    return run


def crash(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def contrary(one: Prediction) -> Prediction:
    """Wrong about every part."""
    return one._replace(decision="pass" if one.label == "def_front" else "reject")


def test_a_good_first_candidate_comes_into_use(released, places, candidate):
    decided = released("aa", LAX)
    assert (decided.verdict, decided.version, decided.champion_before, decided.cached) == ("promoted", 1, None, False)
    assert decided.decided_in == "run 1"
    assert registry.champion(places).model == candidate("aa").digest
    assert [rule.name for rule in decided.rules[:3]] == [
        "defects that escape",
        "good parts rejected",
        "images for a person",
    ]
    assert (decided.rules[0].figure, decided.rules[0].limit) == ("1 of 10 (10.00%)", "at most 100.00%")


def test_a_bad_candidate_leaves_nothing_in_use(released, places):
    decided = released("aa", STRICT)
    assert (decided.verdict, decided.version, decided.champion_before) == ("kept", None, None)
    assert decided.cause == "rule_broken"
    assert "1 of 10 (10.00%), at most 0.00%; " in decided.reason
    assert registry.champion(places) is None


@pytest.mark.parametrize(("reviews", "accepted"), [(0.0, False), (0.25, True)])
def test_each_limit_counts_alone(released, reviews, accepted):
    limits = AcceptanceSettings(max_escape_rate=0.1, max_false_reject_rate=0.2, max_review_rate=reviews)
    decided = released("aa", limits.model_copy(update={} if accepted else {"max_escape_rate": 0.09}))
    assert (decided.verdict == "promoted") == accepted


def test_an_export_that_decides_otherwise_is_refused(released, places):
    decided = released("aa", LAX, changed=3)
    assert decided.verdict == "kept"
    assert decided.cause == "rule_broken"
    assert [rule.code for rule in decided.rules if not rule.kept] == ["export_decisions"]
    assert registry.champion(places) is None


def test_a_bad_candidate_leaves_the_champion_in_use(released, places):
    released("aa", LAX)
    decided = released("bb", STRICT, "run 2")
    assert (decided.verdict, decided.version, decided.champion_before) == ("kept", 1, 1)
    assert registry.champion(places).number == 1


def test_an_equal_candidate_is_kept_out(released, places):
    released("aa", LAX)
    decided = released("bb", LAX, "run 2")
    assert decided.verdict == "kept"
    assert decided.cause == "no_better"
    assert registry.champion(places).number == 1


def test_a_better_candidate_takes_the_place_of_the_champion(released, places):
    released("aa", LAX)
    decided = released("bb", LAX, "run 2", champion=contrary)
    assert (decided.verdict, decided.version, decided.champion_before) == ("promoted", 2, 1)
    assert decided.cause == "better"
    assert "costs less on 17 images and more on 0" in decided.reason
    assert registry.champion(places).number == 2


def test_images_that_the_champion_learnt_from_are_left_out(released):
    released("aa", LAX)
    learnt = [f"{number:064x}" for number in range(15)]
    decided = released("bb", LAX, "run 2", champion=contrary, learnt=[*learnt, "ff" * 32, "ee" * 32])
    assert decided.verdict == "kept", "too few images are left to tell"
    assert "; 15 test images that version 1 " in decided.reason


def test_a_candidate_that_learnt_a_new_origin_takes_the_place_of_an_equal_champion(released, predictions_of_test):
    released("aa", LAX)
    known = next(one for one in predictions_of_test if one.origin == "base")
    assert known is predictions_of_test[0], "the first training row of the fixture is of the source"
    decided = released("bb", LAX, "run 2", learnt=["ff" * 32])
    assert decided.verdict == "promoted"
    assert decided.cause == "new_origins"
    assert "line 2, which version 1 has never seen" in decided.reason


def test_labeled_photographs_of_a_known_origin_are_no_new_origin(released, splits, places):
    """The row of an image has the origin of its photograph, whatever the folder in which people's labels brought it."""
    released("aa", LAX)
    origin = origin_of("reviewed-20261201-line 2")
    rows = read_table(splits.table.path(places), Row)
    labeled = rows[0]._replace(sha256="dd" * 32, split="train", origin=origin, path=f"def_front/{'d' * 16}/1.jpeg")
    store_table("splits", [*rows, labeled], Row, places).path(places).replace(splits.table.path(places))
    decided = released("bb", LAX, "run 2", learnt=["ff" * 32, "ee" * 32])
    assert (decided.verdict, decided.cause) == ("kept", "no_better")


@pytest.mark.parametrize("learnt", [["99" * 32], ["99" * 32, f"{1:064x}"]], ids=["nothing", "what arrived beside it"])
def test_a_source_that_the_model_in_use_knows_nothing_of_waits_for_a_person(released, places, learnt):
    """Though it is the better one on its own test images, and whatever stays in the inbox beside it."""
    released("aa", LAX)
    decided = released("bb", LAX, "run 2", champion=contrary, learnt=learnt)
    assert (decided.verdict, decided.version, decided.champion_before) == ("waiting", 2, 1)
    assert decided.cause == "unknown_source"
    assert "none of the 11 photographs" in decided.reason
    assert "`flows/promote.py --version 2 --places.registered_model recast` brings it into use" in decided.reason
    assert "`--places.registered_model NAME` gives it a name of its own" in decided.reason
    assert (registry.champion(places).number, registry.by_alias(registry.CHALLENGER, places).number) == (1, 2)
    assert released("bb", LAX, "run 3", learnt=learnt) == decided.model_copy(update={"cached": True})
    assert released("bb", LAX, "run 4", learnt=learnt, model_name="gears").verdict == "promoted"
    assert registry.champion(places).number == 1


def test_a_source_that_arrived_once_is_known(released):
    released("aa", LAX)
    assert released("bb", LAX, "run 2", champion=contrary, learnt=[f"{0:064x}"]).verdict == "promoted"


def test_a_bad_model_of_an_unknown_source_waits_for_nobody(released):
    released("aa", LAX)
    decided = released("bb", STRICT, "run 2", learnt=["99" * 32])
    assert (decided.verdict, decided.version) == ("kept", 1)
    assert "promote.py" not in decided.reason


def test_equal_candidates_of_two_names_are_two_questions(released, places, capsys):
    released("aa", LAX)
    other = released("aa", LAX, "run 2", model_name="gears")
    assert (other.verdict, other.version, other.champion_before, other.cached) == ("promoted", 1, None, False)
    assert "release: promoted, version 1 of gears: the first model" in capsys.readouterr().out
    assert released("aa", LAX, "run 3").decided_in == "run 1"


def test_what_was_decided_before_the_sample_had_a_name_of_its_own_stays_decided(
    released, places, splits, model, evaluation, candidate
):
    """Its question did not tell the name, which was the same for all."""
    parts = Candidate(splits, model, evaluation, candidate("aa"), Costs(), LAX, "run", places)
    texts = [
        candidate("aa").digest,
        evaluation.predictions.sha256,
        "None",
        Costs().model_dump_json(exclude={"guarantee", "flagged_share", "max_review_share"}),
        LAX.model_dump_json(exclude={"confidence", "beyond_baselines", "max_blemishes_passed"}),
    ]
    assert parts.question(None) == hashlib.sha256(" ".join(texts).encode()).hexdigest()
    assert parts._replace(places=places.with_model("recast")).question(None) == parts.question(None)
    assert parts._replace(places=places.with_model("recast-sample")).question(None) != parts.question(None)


UNKNOWN = BaselineComparison(evidence=None)


def test_a_model_that_nothing_can_show_to_be_better_than_baselines_waits_for_a_person(released, places):
    decided = released("aa", LAX, baselines=UNKNOWN)
    assert (decided.verdict, decided.cause, decided.version, decided.champion_before) == (
        "waiting",
        "not_shown",
        1,
        None,
    )
    assert "which photographs show one part is not known" in decided.reason
    assert decided.reason.endswith(
        "; `flows/promote.py --version 1 --places.registered_model recast` brings it into use all the same"
    )
    assert registry.champion(places) is None
    assert registry.by_alias(registry.CHALLENGER, places).number == 1
    assert released("aa", LAX, "run 2", baselines=UNKNOWN) == decided.model_copy(update={"cached": True})
    registry.promote(1, None, places)
    in_use = released("aa", LAX, "run 3", baselines=UNKNOWN)
    assert (in_use.verdict, in_use.version, in_use.cached) == ("promoted", 1, True), "a person has decided"


def test_a_model_that_is_no_better_than_the_look_up_is_kept_out_with_the_figures(released, evaluation, places):
    no_better = evaluation.baselines.model_copy(update={"lookup": PairedParts(better=3, worse=4, p=0.7734)})
    decided = released("aa", LAX, baselines=no_better)
    assert (decided.verdict, decided.cause, decided.version) == ("kept", "rule_broken", None)
    assert decided.reason == "beside the look-up better on 3 parts, worse on 4 (p = 0.77), p below 0.05 is needed"
    assert registry.champion(places) is None


def test_who_asks_for_no_comparison_with_baselines_asks_another_question(released):
    assert released("aa", LAX, baselines=UNKNOWN).verdict == "waiting"
    decided = released("aa", LAX.model_copy(update={"beyond_baselines": False}), "run 2", baselines=UNKNOWN)
    assert (decided.verdict, decided.cached) == ("promoted", False)
    assert "beside_lookup" not in {rule.code for rule in decided.rules}


def test_the_command_that_brings_a_refused_version_into_use_names_its_model(released, places):
    shift = "night shift"
    released("aa", LAX, model_name=shift)
    released("bb", LAX, "run 2", champion=contrary, model_name=shift)
    registry.rollback("was taken back", places.with_model(shift))
    again = released("bb", LAX, "run 3", model_name=shift)
    assert f"`flows/promote.py --version 2 --places.registered_model '{shift}'` brings it into use" in again.reason


def test_a_champion_whose_files_are_gone_makes_way(released, places):
    released("aa", LAX)
    shutil.rmtree(places.artifacts / "models")
    shutil.rmtree(places.artifacts / "mlflow")
    decided = released("bb", LAX, "run 2")
    assert decided.verdict == "promoted"
    assert decided.cause == "champion_unusable"
    assert "the files of version 1 in sqlite" in decided.reason


@pytest.mark.parametrize("kept", [stored_files.LocalFiles, stored_files.RemoteFiles])
def test_a_champion_that_cannot_be_had_just_now_stays_in_use(released, places, monkeypatch, kept):
    """A store that does not answer is no reason to put anything into use unopposed."""
    released("aa", LAX)
    shutil.rmtree(places.artifacts / "models")

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("503") if kept is stored_files.LocalFiles else MlflowException("503")

    with monkeypatch.context() as patched, pytest.raises(ConnectionError, match="503"):
        patched.setattr(stored_files, "files_at", kept)
        patched.setattr(stored_files.shutil, "copyfile", unreachable)
        patched.setattr("mlflow.artifacts.download_artifacts", unreachable)
        released("bb", LAX, "run 2", champion=contrary)
    assert registry.champion(places).number == 1


def test_a_test_image_that_cannot_be_read_ends_the_run_and_replaces_nobody(released, places):
    released("aa", LAX)

    def unreadable(one: Prediction) -> Prediction:
        raise BadInput("part.jpeg cannot be read")

    with pytest.raises(BadInput, match=r"part\.jpeg cannot be read"):
        released("bb", LAX, "run 2", champion=unreadable)
    assert registry.champion(places).number == 1


def test_stricter_limits_are_told_of_a_model_in_use_and_change_nothing(released, places):
    first = released("aa", LAX)
    again = released("aa", STRICT, "run 2")
    assert (again.verdict, again.version, again.decided_in, again.cached) == ("kept", 1, first.decided_in, True)
    assert again.cause == "in_use"
    assert "defects that escape 1 of 10" in again.reason
    assert registry.champion(places).number == 1


def test_a_candidate_that_is_in_use_counts_as_decided(released, places):
    first = released("aa", LAX)
    assert released("aa", LAX, "run 2") == first.model_copy(update={"cached": True})
    assert [one.number for one in registry.versions(places)] == [1]


def test_the_same_question_is_decided_once(released, monkeypatch):
    first = released("aa", STRICT)
    monkeypatch.setattr(verb.promotion_rules, "decide", lambda *_: pytest.fail("it was decided again"))
    again = released("aa", STRICT, "run 2")
    assert again == first.model_copy(update={"cached": True})
    assert again.decided_in == "run 1"


def test_another_candidate_another_acceptance_and_another_champion_are_other_questions(released):
    assert not released("aa", STRICT).cached
    assert not released("bb", STRICT).cached
    assert not released("aa", AcceptanceSettings(max_escape_rate=0.01)).cached
    assert released("cc", LAX).verdict == "promoted"
    assert not released("aa", STRICT).cached
    assert released("aa", STRICT).cached


def test_a_candidate_that_was_kept_is_promoted_when_acceptance_allows(released):
    assert released("aa", STRICT).verdict == "kept"
    assert released("aa", LAX).verdict == "promoted"


CHANGES = [
    "create_run", "create_logged_model", "log_model_artifacts", "finalize_logged_model", "create_registered_model",
    "create_model_version", "set_registered_model_tag", "set_registered_model_alias", "log_text", "set_tag",
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_crash_at_any_change_leaves_a_champion_and_the_next_run_ends_the_same(released, places, monkeypatch, change):
    """The first model is in use; the next one is to take its place when the power goes off."""
    first = released("aa", LAX)

    with monkeypatch.context() as patched:
        patched.setattr(f"mlflow.MlflowClient.{change}", crash)
        if change == "create_registered_model":
            released("bb", LAX, "run 2", champion=contrary)
        else:
            with pytest.raises(KeyboardInterrupt):
                released("bb", LAX, "run 2", champion=contrary)
    now = registry.champion(places)
    assert now.number in (first.version, 2)
    assert model_folder.ensure_local(now, places).is_dir()
    decided = released("bb", LAX, "run 3", champion=contrary)
    assert (decided.verdict, decided.version, decided.champion_before) == ("promoted", 2, 1)
    assert [(one.number, *one.aliases) for one in registry.versions(places)] == [(1, "previous"), (2, "champion")]
    runs = connection.client(places).search_runs([mlflow_runs.experiment(places)])
    assert [run.data.tags.get(mlflow_runs.VERDICT) for run in runs] == ["promoted"] * 2, (
        "the open run was taken up again"
    )
    assert "beside version 1" in {rule.name for rule in decided.rules}, "what it was compared with is not lost"


def test_a_crash_between_the_champion_and_the_other_aliases_is_mended_by_the_next_run(released, places, monkeypatch):
    released("aa", LAX)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(registry, "sync_aliases", crash)
        released("bb", LAX, "run 2", champion=contrary)
    assert registry.by_alias(registry.PREVIOUS, places) is None
    assert released("bb", LAX, "run 3").verdict == "promoted"
    assert registry.by_alias(registry.PREVIOUS, places).number == 1


def test_what_a_person_replaced_by_name_is_not_told_as_in_use(released, places):
    released("aa", LAX)
    released("bb", LAX, "run 2", champion=contrary)
    registry.promote(1, 2, places)
    again = released("bb", LAX, "run 3", champion=contrary)
    assert (again.verdict, again.version, again.cached) == ("kept", 1, True)
    assert again.cause == "replaced"
    assert "`flows/promote.py --version 2" in again.reason


def test_a_challenger_whose_place_another_took_waits_no_longer(released, places):
    careful = LAX.model_copy(update={"require_approval": True})
    released("aa", LAX)
    assert released("bb", careful, "run 2", champion=contrary).verdict == "waiting"
    assert released("cc", careful, "run 3", champion=contrary).verdict == "waiting"
    again = released("bb", careful, "run 4", champion=contrary)
    assert (again.verdict, again.version) == ("kept", 1)
    assert again.cause == "superseded"


def test_a_candidate_that_was_taken_back_is_not_promoted_again(released, places):
    released("aa", LAX)
    released("bb", LAX, "run 2", champion=contrary)
    registry.rollback("was taken back: it refused a whole shift", places)
    again = released("bb", LAX, "run 3", champion=contrary)
    assert (again.verdict, again.version, again.decided_in, again.cached) == ("kept", 1, "run 2", True)
    assert again.cause == "taken_back_or_refused"
    assert "was taken back: it refused a whole shift; " in again.reason
    assert "`flows/promote.py --version 2 --places.registered_model recast` brings it into use" in again.reason
    assert registry.champion(places).number == 1


def test_with_approval_a_candidate_waits_and_the_champion_stays(released, places):
    released("aa", LAX)
    careful = LAX.model_copy(update={"require_approval": True})
    waiting = released("bb", careful, "run 2", champion=contrary)
    assert (waiting.verdict, waiting.version, waiting.champion_before) == ("waiting", 2, 1)
    assert registry.champion(places).number == 1
    assert registry.by_alias(registry.CHALLENGER, places).number == 2
    assert released("bb", careful, "run 3", champion=contrary) == waiting.model_copy(update={"cached": True})
    registry.promote(2, 1, places)
    assert released("bb", careful, "run 4").verdict == "promoted"
    assert registry.by_alias(registry.CHALLENGER, places) is None


def test_a_candidate_that_another_machine_overtook_is_decided_again(released, places, monkeypatch, capsys):
    """The champion changes between the judgement and the promotion."""
    released("aa", LAX)
    released("bb", LAX, "run 2", champion=contrary)
    registry.rollback("was taken back", places)
    registry.withdraw(2, None, places)
    ruled, turns = verb.promotion_rules.decide, []

    def overtaken(*asked):
        turns.append(asked)
        if len(turns) == 1:
            registry.promote(2, 1, places)
        return ruled(*asked)

    monkeypatch.setattr(verb.promotion_rules, "decide", overtaken)
    decided = released("cc", LAX, "run 3", champion=contrary)
    assert (decided.verdict, decided.champion_before) == ("promoted", 2)
    assert [(one.number, *one.aliases) for one in registry.versions(places)] == [
        (1,), (2, "previous"), (decided.version, "champion")
    ]  # fmt: skip
    (overtook,) = (
        run
        for run in connection.client(places).search_runs([mlflow_runs.experiment(places)])
        if run.info.status == "KILLED"
    )
    assert mlflow_runs.VERDICT not in overtook.data.tags
    assert len(turns) == 2
    assert "it is decided again" in capsys.readouterr().out


def test_a_version_that_the_registry_does_not_give_back_is_not_promoted(released, places, monkeypatch):
    released("aa", LAX)
    fetch = stored_files.fetch_model

    def damaged(number, digest, target, places):
        fetch(number, digest, target, places)
        (target / "decision.json").write_text("another")

    with (
        monkeypatch.context() as patched,
        pytest.raises(BadInput, match="version 2 in sqlite.* have changed since they were"),
    ):
        patched.setattr(stored_files, "fetch_model", damaged)
        released("bb", LAX, "run 2", champion=contrary)
    assert registry.champion(places).number == 1
    assert released("bb", LAX, "run 3", champion=contrary).version == 2


def test_the_step_is_not_remembered_by_prefect():
    from prefect.cache_policies import NO_CACHE

    assert release.cache_policy == NO_CACHE
    assert release.persist_result is False


BEFORE_GOOD_ALONE = (  # settings as they were written before a network could learn from good parts alone
    '{"escape_cost":10.0,"false_reject_cost":1.0,"review_cost":0.2,"unlike_share":0.01,"confidence":0.95,"resamples":1000,"seed":0}',
    '{"max_escape_rate":0.05,"max_false_reject_rate":0.1,"max_review_rate":0.25,"max_megabytes":200.0,"max_milliseconds":1000.0,'
    '"significance":0.05,"require_approval":false}',
)


@pytest.fixture
def ask(evaluation, splits, model, places, candidate):
    """Returns the digest of the question about one candidate by these settings."""
    exports = candidate("aa")

    def question(costs: Costs = Costs(), acceptance: AcceptanceSettings = AcceptanceSettings()) -> str:
        return Candidate(splits, model, evaluation, exports, costs, acceptance, "run 1", places).question(None)

    return question


def test_what_was_decided_before_there_were_networks_of_good_parts_alone_stays_decided(ask, evaluation, candidate):
    parts = [candidate("aa").digest, evaluation.predictions.sha256, "None", *BEFORE_GOOD_ALONE]
    expected = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    assert ask() == expected
    set_as_they_are = ask(Costs(flagged_share=0.05), AcceptanceSettings(max_blemishes_passed=0.5))
    assert set_as_they_are == expected


@pytest.mark.parametrize(
    ("costs", "acceptance"),
    [({"flagged_share": 0.1}, {}), ({}, {"max_blemishes_passed": 0.0}), ({}, {"beyond_baselines": False})],
)
def test_a_setting_that_is_set_asks_anew(ask, costs, acceptance):
    assert ask(Costs(**costs), AcceptanceSettings(**acceptance)) != ask()


def test_each_value_of_a_new_setting_is_a_question_of_its_own(ask):
    asked = [ask(acceptance=AcceptanceSettings(max_blemishes_passed=share)) for share in (0.0, 0.3, 0.5, 1.0)]
    assert len(set(asked)) == 4
