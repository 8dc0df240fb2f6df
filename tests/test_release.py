"""Release: promoted or kept, decided once, with the numbers that decided it."""

import pytest

from tasks.release import decide, release
from tasks.runs import registry
from tasks.runs.config import Acceptance
from tasks.runs.records import Exports

LAX, STRICT = (
    Acceptance(max_escape_rate=1, max_false_reject_rate=1),
    Acceptance(max_escape_rate=0, max_false_reject_rate=0),
)


def candidate(name: str) -> Exports:
    return Exports(digest=name * 32, contents=())


@pytest.fixture
def released(evaluation, places):
    """One defect of ten escapes, two good parts of ten are rejected."""

    def run(name: str, acceptance: Acceptance, run_id: str = "run 1"):
        return release.fn(evaluation, candidate(name), acceptance, run_id, places)

    return run


@pytest.mark.parametrize(
    ("escapes", "rejects", "accepted"),
    [(0.1, 0.2, True), (0.09, 0.2, False), (0.1, 0.19, False), (1, 1, True), (0, 0, False)],
)
def test_both_rates_have_to_meet_acceptance_and_may_equal_it(evaluation, escapes, rejects, accepted):
    verdict, reason = decide(evaluation.test, Acceptance(max_escape_rate=escapes, max_false_reject_rate=rejects))
    assert verdict == accepted
    assert reason.startswith("1 of 10 defects escape (10.00%, at most ")
    assert ", 2 of 10 good parts are rejected (20.00%, at most " in reason


def test_what_a_person_looks_at_neither_escapes_nor_is_rejected(evaluation):
    reviewed = evaluation.test.model_copy(update={"escapes_decided": 0, "rejects_decided": 0, "reviews_decided": 3})
    assert decide(reviewed, STRICT)[0]


@pytest.mark.parametrize(("reviews", "accepted"), [(5, True), (6, False), (20, False)])
def test_a_model_that_leaves_too_much_to_people_is_not_accepted(evaluation, reviews, accepted):
    reviewed = evaluation.test.model_copy(
        update={"escapes_decided": 0, "rejects_decided": 0, "reviews_decided": reviews}
    )
    verdict, reason = decide(reviewed, Acceptance())
    assert verdict == accepted
    assert f"{reviews} of 20 images go to a person ({reviews / 20:.2%}, at most 25.00%)" in reason


def test_a_good_first_candidate_comes_into_use(released, places):
    decided = released("aa", LAX)
    assert (decided.verdict, decided.version, decided.champion_before, decided.cached) == ("promoted", 1, None, False)
    assert decided.decided_in == "run 1"
    assert registry.champion(places).model == candidate("aa").digest


def test_a_bad_candidate_leaves_nothing_in_use(released, places):
    decided = released("aa", STRICT)
    assert (decided.verdict, decided.version, decided.champion_before) == ("kept", None, None)
    assert registry.champion(places) is None


def test_a_bad_candidate_leaves_the_champion_in_use(released, places):
    released("aa", LAX)
    decided = released("bb", STRICT, "run 2")
    assert (decided.verdict, decided.version, decided.champion_before) == ("kept", 1, 1)
    assert registry.champion(places).number == 1


def test_stricter_limits_are_told_of_a_model_in_use_and_change_nothing(released, places):
    first = released("aa", LAX)
    again = released("aa", STRICT, "run 2")
    assert (again.verdict, again.version, again.decided_in, again.cached) == ("kept", 1, first.decided_in, True)
    assert again.reason.startswith(
        "it is in use already, and by today's limits it would not be promoted: 1 of 10 defects escape"
    )
    assert registry.champion(places).number == 1


def test_a_candidate_that_is_in_use_counts_as_decided(released, places):
    first = released("aa", LAX)
    assert released("aa", LAX, "run 2") == first.model_copy(update={"cached": True})
    assert not (registry.registry(places) / "versions" / "2.json").exists()


def test_the_same_question_is_decided_once(released, monkeypatch):
    first = released("aa", STRICT)
    monkeypatch.setattr("tasks.release.decide", lambda *_: pytest.fail("it was decided again"))
    again = released("aa", STRICT, "run 2")
    assert again == first.model_copy(update={"cached": True})
    assert again.decided_in == "run 1"


def test_another_candidate_another_acceptance_and_another_champion_are_other_questions(released):
    assert not released("aa", STRICT).cached
    assert not released("bb", STRICT).cached
    assert not released("aa", Acceptance(max_escape_rate=0.01)).cached
    assert released("cc", LAX).verdict == "promoted"
    assert not released("aa", STRICT).cached
    assert released("aa", STRICT).cached


def test_a_candidate_that_was_kept_is_promoted_when_acceptance_allows(released):
    assert released("aa", STRICT).verdict == "kept"
    assert released("aa", LAX).verdict == "promoted"


def test_a_crash_before_the_champion_changed_leaves_the_question_open(released, places, monkeypatch):
    def crash(*_: object) -> None:
        raise OSError("the power went off")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="power"):
        patched.setattr(registry, "write_whole", crash)
        released("aa", LAX)
    assert registry.champion(places) is None
    decided = released("aa", LAX, "run 2")
    assert (decided.verdict, decided.decided_in, decided.cached) == ("promoted", "run 2", False)
    assert registry.champion(places).model == candidate("aa").digest


def test_nothing_but_the_registry_is_written(released, places):
    released("aa", STRICT)
    released("bb", LAX)
    assert [path.name for path in places.artifacts.iterdir()] == ["registry"]
    assert sorted(path.name for path in registry.registry(places).iterdir()) == ["champion", "decisions", "versions"]


def test_the_step_is_not_remembered_by_prefect():
    from prefect.cache_policies import NO_CACHE

    assert release.cache_policy == NO_CACHE
    assert release.persist_result is False
