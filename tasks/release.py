"""Release: the candidate becomes the champion if the rules of the gate allow it; otherwise the champion stays, and the reason is said."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.images import manifest
from tasks.models import bundle, gate
from tasks.models.judging import judge_by
from tasks.models.metrics import Prediction
from tasks.runs import registry, tracker
from tasks.runs.config import Acceptance, Places
from tasks.runs.config import Evaluation as Costs
from tasks.runs.errors import BadInput
from tasks.runs.records import Evaluation, Exports, Model, Release, Rule, Splits, Verdict
from tasks.runs.tables import read_table


@task(
    cache_policy=NO_CACHE, persist_result=False
)  # it looks up its own decisions: the champion may have changed meanwhile
def release(
    splits: Splits,
    model: Model,
    evaluation: Evaluation,
    exports: Exports,
    costs: Costs,
    acceptance: Acceptance,
    run_id: str,
    places: Places,
) -> Release:
    """The decision about this candidate, taken once for the same candidate, champion, test and acceptance."""
    candidate = Candidate(splits, model, evaluation, exports, costs, acceptance, run_id, places)
    while True:
        with registry.deciding(places):  # of two runs at once, the later sees the earlier one's champion
            try:
                decided = known(candidate) or settle(candidate)
                break
            except registry.Overtaken:  # by a run on another machine, which no lock keeps out
                print("release: another model came into use meanwhile; it is decided again beside that one")
    print(f"release: {decided.verdict}{f', version {decided.version}' if decided.version else ''}: {decided.reason}")
    return decided


class Candidate(NamedTuple):
    """What is to be decided about, and by what."""

    splits: Splits
    model: Model
    evaluation: Evaluation
    exports: Exports
    costs: Costs
    acceptance: Acceptance
    run_id: str
    places: Places

    @property
    def alone(self) -> list[Rule]:
        """What it shows by itself."""
        return [
            *gate.accepted(self.evaluation.test, self.acceptance),
            *gate.exported(self.exports, self.acceptance),
        ]

    def question(self, champion: registry.Version | None) -> str:
        """Digest of all that a decision beside this champion depends on."""
        parts = (
            self.exports.digest,
            self.evaluation.predictions.sha256,
            str(champion.number if champion else None),
            self.costs.model_dump_json(),
            self.acceptance.model_dump_json(),
        )
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def known(candidate: Candidate) -> Release | None:
    """What was decided about the candidate earlier, and holds."""
    places, digest = candidate.places, candidate.exports.digest
    champion = registry.champion(places)
    if champion and champion.model == digest:
        return in_use(candidate.alone, champion)
    made = [one for one in registry.versions(places) if one.model == digest and one.withdrawn]
    if made:
        return turned_down(made[-1], champion)
    decided = tracker.decision(candidate.question(champion), places)
    return decided.model_copy(update={"cached": True}) if decided else None


def in_use(rules: Sequence[Rule], champion: registry.Version) -> Release:
    """What was decided when this candidate became the champion; stricter limits of today are told, and change nothing."""
    broken = gate.broken(rules)
    return Release(
        verdict="kept" if broken else "promoted",
        reason=f"it is in use already, and by today's limits it would not be promoted: {gate.told(broken)}"
        if broken
        else champion.reason,
        version=champion.number,
        champion_before=champion.champion_before,
        decided_in=champion.run_id,
        rules=tuple(rules),
        tracked=champion.tracked,
        cached=True,
    )


def turned_down(version: registry.Version, champion: registry.Version | None) -> Release:
    """What a person took back or refused, no run promotes again."""
    return Release(
        verdict="kept",
        reason=f"it is version {version.number}, which {version.withdrawn}; `flows/promote.py --version {version.number}` "
        "brings it into use all the same",
        version=champion.number if champion else None,
        champion_before=champion.number if champion else None,
        decided_in=version.run_id,
        tracked=version.tracked,
        cached=True,
    )


def beside(champion: registry.Version, splits: Splits, evaluation: Evaluation, places: Places) -> gate.Rival:
    """The model in use, asked today about the test images that it has not learnt from."""
    rows = read_table(splits.table.path(places), manifest.Row)
    test = [row for row in rows if row.split == "test"]
    judged = [one for one in read_table(evaluation.predictions.path(places), Prediction) if one.split == "test"]
    try:
        bundle.obtained(champion, places)
        learnt = bundle.learnt(champion.model, places)
        compared = [(row, one) for row, one in zip(test, judged, strict=True) if row.sha256 not in learnt]
        answers = judge_by(champion.model, [row for row, _ in compared], places)
    except BadInput as damaged:
        return gate.Rival(champion.number, unusable=str(damaged))
    seen = {row.origin for row in rows if row.sha256 in learnt}
    return gate.Rival(
        champion.number,
        pairs=[gate.Pair(one, answer) for (_, one), answer in zip(compared, answers, strict=True)],
        left_out=len(test) - len(compared),
        unseen=sorted({row.origin for row in rows if row.split == "train"} - seen) if learnt else [],
    )


def settle(candidate: Candidate) -> Release:
    """Promotes, lets wait for a person, or keeps what is in use."""
    splits, places, acceptance = candidate.splits, candidate.places, candidate.acceptance
    champion = registry.champion(places)
    before = champion.number if champion else None
    tracked = tracker.begin(candidate.question(champion), candidate.run_id, places)
    rival = beside(champion, splits, candidate.evaluation, places) if champion else None
    ruled = gate.ruled(candidate.alone, rival, splits.classes, candidate.costs, acceptance)
    verdict: Verdict = "kept" if not ruled.promote else "waiting" if acceptance.require_approval else "promoted"
    number = before
    if ruled.promote:
        number = registered(candidate, tracked, ruled.reason, before).number
        if verdict == "waiting":
            registry.challenge(number, places)
        else:
            registry.promote(number, before, places)
    decided = Release(
        verdict=verdict,
        reason=ruled.reason,
        version=number,
        champion_before=before,
        decided_in=candidate.run_id,
        rules=tuple(ruled.rules),
        tracked=tracked,
    )
    tracker.decide(tracked, decided, places)
    return decided


def registered(candidate: Candidate, tracked: str, reason: str, before: int | None) -> registry.Version:
    """The candidate's version, read back from the registry before anybody can use it."""
    places = candidate.places
    folder = bundle.of(candidate.exports.digest, places)
    made = registry.register(folder, candidate.model.name, tracked, candidate.run_id, reason, before, places)
    bundle.read_back(made, places)
    return made
