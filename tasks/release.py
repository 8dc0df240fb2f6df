"""Release: the candidate becomes the champion if it meets acceptance; otherwise the champion stays, and the reason is said."""

import hashlib
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.runs import registry
from tasks.runs.config import Acceptance, Places
from tasks.runs.files import write_whole
from tasks.runs.records import Evaluation, Exports, Release, Score


@task(
    cache_policy=NO_CACHE, persist_result=False
)  # it looks up its own decisions: the champion may have changed meanwhile
def release(evaluation: Evaluation, exports: Exports, acceptance: Acceptance, run_id: str, places: Places) -> Release:
    """The decision about this candidate, taken once for the same candidate, champion and acceptance."""
    champion = registry.champion(places)
    if champion and champion.model == exports.digest:
        decided = in_use(evaluation.test, champion, acceptance)
    elif (memo := decision_file(exports, champion, acceptance, places)).exists():
        decided = Release.model_validate_json(memo.read_text(encoding="utf-8")).model_copy(update={"cached": True})
    else:
        decided = settle(evaluation.test, exports, champion, acceptance, run_id, places)
        if decided.verdict == "kept":
            write_whole(memo, decided.model_dump_json(indent=2).encode())
    print(f"release: {decided.verdict}{f', version {decided.version}' if decided.version else ''}: {decided.reason}")
    return decided


def in_use(test: Score, champion: registry.Version, acceptance: Acceptance) -> Release:
    """What was decided when this candidate became the champion; stricter limits of today are told, and change nothing."""
    accepted, today = decide(test, acceptance)
    return Release(
        verdict="promoted" if accepted else "kept",
        reason=today if accepted else f"it is in use already, and by today's limits it would not be promoted: {today}",
        version=champion.number,
        champion_before=champion.champion_before,
        decided_in=champion.run_id,
        cached=True,
    )


def settle(
    test: Score,
    exports: Exports,
    champion: registry.Version | None,
    acceptance: Acceptance,
    run_id: str,
    places: Places,
) -> Release:
    """Promotes, or keeps what is in use."""
    accepted, reason = decide(test, acceptance)
    before = champion.number if champion else None
    if not accepted:
        return Release(verdict="kept", reason=reason, version=before, champion_before=before, decided_in=run_id)
    made = registry.promote(exports.digest, run_id, reason, places)
    return Release(
        verdict="promoted", reason=reason, version=made.number, champion_before=made.champion_before, decided_in=run_id
    )


def decide(test: Score, acceptance: Acceptance) -> tuple[bool, str]:
    """Whether the decisions on the test images meet acceptance, and the sentence that says why or why not."""
    escapes, rejects, reviews = (
        count / total
        for count, total in (
            (test.escapes_decided, test.defects),
            (test.rejects_decided, test.good),
            (test.reviews_decided, test.images),
        )
    )
    found = (
        f"{test.escapes_decided} of {test.defects:,} defects escape ({escapes:.2%}, at most {acceptance.max_escape_rate:.2%}), "
        f"{test.rejects_decided} of {test.good:,} good parts are rejected ({rejects:.2%}, at most {acceptance.max_false_reject_rate:.2%}), "
        f"{test.reviews_decided} of {test.images:,} images go to a person ({reviews:.2%}, at most {acceptance.max_review_rate:.2%})"
    )
    accepted = (
        escapes <= acceptance.max_escape_rate
        and rejects <= acceptance.max_false_reject_rate
        and reviews <= acceptance.max_review_rate
    )
    return accepted, found


def decision_file(exports: Exports, champion: registry.Version | None, acceptance: Acceptance, places: Places) -> Path:
    """Where the decision about this candidate, against this champion, by this acceptance, is remembered."""
    text = f"{exports.digest} {champion.number if champion else None} {acceptance.model_dump_json()}"
    return registry.registry(places) / "decisions" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
