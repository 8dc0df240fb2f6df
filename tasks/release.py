"""Release: the candidate becomes the champion if the rules of the gate allow it; otherwise the champion stays, and the reason is said."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.images import manifest
from tasks.models import bundle, gate
from tasks.models.judging import judge_by
from tasks.models.metrics import Prediction
from tasks.runs import registry
from tasks.runs.config import Acceptance, Places
from tasks.runs.config import Evaluation as Costs
from tasks.runs.errors import BadInput
from tasks.runs.files import write_whole
from tasks.runs.records import Evaluation, Exports, Release, Rule, Splits
from tasks.runs.tables import read_table


@task(
    cache_policy=NO_CACHE, persist_result=False
)  # it looks up its own decisions: the champion may have changed meanwhile
def release(
    splits: Splits,
    evaluation: Evaluation,
    exports: Exports,
    costs: Costs,
    acceptance: Acceptance,
    run_id: str,
    places: Places,
) -> Release:
    """The decision about this candidate, taken once for the same candidate, champion, test and acceptance."""
    with registry.deciding(places):  # of two runs at once, the later sees the earlier one's champion
        champion = registry.champion(places)
        alone = [*gate.accepted(evaluation.test, acceptance), *gate.exported(exports, acceptance)]
        memo = decision_file(evaluation, exports, champion, costs, acceptance, places)
        if champion and champion.model == exports.digest:
            decided = in_use(alone, champion)
        elif memo.exists():
            decided = Release.model_validate_json(memo.read_text(encoding="utf-8")).model_copy(update={"cached": True})
        else:
            rival = beside(champion, splits, evaluation, places) if champion else None
            decided = settle(
                gate.ruled(alone, rival, splits.classes, costs, acceptance), exports, champion, run_id, places
            )
            if decided.verdict == "kept":
                write_whole(memo, decided.model_dump_json(indent=2).encode())
    print(f"release: {decided.verdict}{f', version {decided.version}' if decided.version else ''}: {decided.reason}")
    return decided


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
        cached=True,
    )


def beside(champion: registry.Version, splits: Splits, evaluation: Evaluation, places: Places) -> gate.Rival:
    """The model in use, asked today about the test images that it has not learnt from."""
    rows = read_table(splits.table.path(places), manifest.Row)
    test = [row for row in rows if row.split == "test"]
    judged = [one for one in read_table(evaluation.predictions.path(places), Prediction) if one.split == "test"]
    try:
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


def settle(
    ruled: gate.Ruling, exports: Exports, champion: registry.Version | None, run_id: str, places: Places
) -> Release:
    """Promotes, or keeps what is in use."""
    before = champion.number if champion else None
    if ruled.promote:
        made = registry.promote(exports.digest, run_id, ruled.reason, places)
    return Release(
        verdict="promoted" if ruled.promote else "kept",
        reason=ruled.reason,
        version=made.number if ruled.promote else before,
        champion_before=before,
        decided_in=run_id,
        rules=tuple(ruled.rules),
    )


def decision_file(
    evaluation: Evaluation,
    exports: Exports,
    champion: registry.Version | None,
    costs: Costs,
    acceptance: Acceptance,
    places: Places,
) -> Path:
    """Where the decision about this candidate, on this test, against this champion, by these limits, is remembered."""
    question = (
        exports.digest,
        evaluation.predictions.sha256,
        str(champion.number if champion else None),
        costs.model_dump_json(),
        acceptance.model_dump_json(),
    )
    name = hashlib.sha256(" ".join(question).encode()).hexdigest()
    return registry.registry(places) / "decisions" / f"{name}.json"
