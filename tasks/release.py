"""Release: promotes the candidate if the rules of release allow it. Otherwise the champion stays, and the reason is said."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from tasks.evaluation import promotion_rules
from tasks.evaluation.baseline_rules import baseline_rules
from tasks.evaluation.comparison import Pair
from tasks.inference import model_folder
from tasks.inference.scoring import judge_by
from tasks.records.results import Evaluation, Exports, Model, Release, Rule, RulingCause, Splits, Verdict
from tasks.records.rows import BASE, Prediction, Row
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import MODEL, AcceptanceSettings, EvaluationSettings, Places
from tasks.storage.tables import read_table
from tasks.tracking import registry, runs


# It looks up its own decisions: the champion may have changed since the last run.
@task(cache_policy=NO_CACHE, persist_result=False)
def release(
    splits: Splits,
    model: Model,
    evaluation: Evaluation,
    exports: Exports,
    costs: EvaluationSettings,
    acceptance: AcceptanceSettings,
    run_id: str,
    places: Places,
) -> Release:
    """Decide about this candidate. The same candidate, champion, test and acceptance get the same decision."""
    candidate = Candidate(splits, model, evaluation, exports, costs, acceptance, run_id, places)
    while True:
        with registry.promotion_lock(places):  # of two runs at once, the later sees the earlier one's champion
            try:
                decision = earlier_decision(candidate) or decide(candidate)
                break
            except registry.ChampionChanged:  # by a run on another machine, which no lock keeps out
                say("release: another model came into use meanwhile; it is decided again beside that one")
    state = registry.version_name(decision.version, places) if decision.version else "no model is in use"
    say(f"release: {decision.verdict}, {state}: {decision.reason}")
    return decision


class Candidate(NamedTuple):
    """A model to decide about, and all that the decision depends on."""

    splits: Splits
    model: Model
    evaluation: Evaluation
    exports: Exports
    costs: EvaluationSettings
    acceptance: AcceptanceSettings
    run_id: str
    places: Places

    @property
    def own_rules(self) -> list[Rule]:
        """Return the rules about what the candidate shows by itself."""
        return [
            *promotion_rules.acceptance_rules(self.evaluation.test, self.acceptance),
            *promotion_rules.blemish_rules(self.evaluation.blemishes, self.acceptance),
            *baseline_rules(self.evaluation.baselines, self.acceptance, good_alone=self.evaluation.normal is not None),
            *promotion_rules.export_rules(self.exports, self.acceptance),
        ]

    def question(self, champion: registry.Version | None) -> str:
        """Return the digest of all that a decision beside this champion depends on."""
        parts = (
            self.exports.digest,
            self.evaluation.predictions.sha256,
            str(champion.number if champion else None),
            # what was decided before a setting came stays decided: at their defaults, the newer settings promote nothing more
            self.costs.model_dump_json(
                exclude_none=True, exclude=at_default(self.costs, "flagged_share", "max_review_share")
            ),
            self.acceptance.model_dump_json(
                exclude_none=True, exclude=at_default(self.acceptance, "beyond_baselines", "max_blemishes_passed")
            ),
            # what was decided before there were two names stays decided
            *([] if self.places.registered_name == MODEL else [self.places.registered_name]),
        )
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def at_default(settings: BaseModel, *names: str) -> set[str]:
    """Return those of the named settings that have their default."""
    return {name for name in names if getattr(settings, name) == type(settings).model_fields[name].default}


def earlier_decision(candidate: Candidate) -> Release | None:
    """Return the earlier decision about the candidate, if it still holds; None if there is none."""
    places, digest = candidate.places, candidate.exports.digest
    champion = registry.champion(places)
    if champion and champion.model == digest:
        return decision_of_champion(candidate.own_rules, champion, places)
    withdrawn = [version for version in registry.versions(places) if version.model == digest and version.withdrawn]
    if withdrawn:
        return keep_out(withdrawn[-1], "taken_back_or_refused", withdrawn[-1].withdrawn or "", champion, places)
    decision = runs.decision(candidate.question(champion), places)
    return reuse_decision(decision, champion, places) if decision else None


def decision_of_champion(rules: Sequence[Rule], champion: registry.Version, places: Places) -> Release:
    """Return the decision by which this candidate became the champion.

    Where it breaks today's limits, the reason says so, and it stays in use.
    """
    decision = runs.decision_of_run(champion.tracked, places)
    if decision and runs.is_unapplied(champion.tracked, places):  # a run was killed as soon as it had promoted
        registry.sync_aliases(places)
        runs.mark_applied(champion.tracked, decision, places)
    broken = promotion_rules.broken_rules(rules)
    return Release(
        verdict="kept" if broken else "promoted",
        reason=f"it is in use already, and by today's limits it would not be promoted: {promotion_rules.summary(broken)}"
        if broken
        else champion.reason,
        cause="in_use" if broken else decision.cause if decision else None,
        version=champion.number,
        champion_before=champion.champion_before,
        decided_in=champion.run_id,
        rules=decision.rules if decision and not broken else tuple(rules),
        tracked=champion.tracked,
        cached=True,
    )


def reuse_decision(decision: Release, champion: registry.Version | None, places: Places) -> Release:
    """Reuse an earlier decision unless a person has changed that version since.

    The decision is about a version that is not in use.
    """
    if decision.verdict == "kept" or decision.version is None:
        return decision.model_copy(update={"cached": True})
    version = registry.version(decision.version, places)
    if decision.verdict == "promoted":
        return keep_out(version, "replaced", "a person replaced by another one", champion, places)
    return (
        decision.model_copy(update={"cached": True})
        if registry.CHALLENGER in version.aliases
        else keep_out(version, "superseded", "waited for an answer until another one took its place", champion, places)
    )


def keep_out(
    version: registry.Version, cause: RulingCause, why: str, champion: registry.Version | None, places: Places
) -> Release:
    """Return the decision to keep out a version that a person took back, refused or replaced: no run promotes it again."""
    return Release(
        verdict="kept",
        cause=cause,
        reason=f"it is version {version.number}, which {why}; `{promote_command(version.number, places)}` "
        "brings it into use all the same",
        version=champion.number if champion else None,
        champion_before=champion.number if champion else None,
        decided_in=version.run_id,
        tracked=version.tracked,
        cached=True,
    )


def ask_champion(
    champion: registry.Version, splits: Splits, evaluation: Evaluation, places: Places
) -> promotion_rules.Champion:
    """Ask the model in use about the test images that it has not learned from, unless it knows nothing of the source.

    The model knows a source if it has learned from one of its photographs, whether that came with a source or arrived. Photographs
    in the inbox do not count: they stay there, beside any later source. Photographs are compared by content, so a person decides
    where the files of a data set were written anew.
    """
    rows = read_table(splits.table.path(places), Row)
    test = [row for row in rows if row.split == "test"]
    predictions = read_table(evaluation.predictions.path(places), Prediction)
    judged = [prediction for prediction in predictions if prediction.split == "test"]
    try:
        model_folder.ensure_local(champion, places)
    except BadInput as error:
        return promotion_rules.Champion(champion.number, unusable=str(error))
    learned = model_folder.training_digests(champion.model, places)
    source = {row.sha256 for row in rows if row.origin == BASE}
    if learned and not source & learned:
        return promotion_rules.Champion(champion.number, unknown_source=len(source))
    unlearned = [(row, prediction) for row, prediction in zip(test, judged, strict=True) if row.sha256 not in learned]
    answers = judge_by(champion.model, [row for row, _ in unlearned], places)
    learned_origins = {row.origin for row in rows if row.sha256 in learned}
    return promotion_rules.Champion(
        champion.number,
        pairs=[Pair(prediction, answer) for (_, prediction), answer in zip(unlearned, answers, strict=True)],
        left_out=len(test) - len(unlearned),
        unseen=sorted({row.origin for row in rows if row.split == "train"} - learned_origins) if learned else [],
    )


def decide(candidate: Candidate) -> Release:
    """Promote the candidate, let it wait for a person, or keep the model in use."""
    splits, places, acceptance = candidate.splits, candidate.places, candidate.acceptance
    champion = registry.champion(places)
    before = champion.number if champion else None
    mlflow_run_id = runs.begin(candidate.question(champion), candidate.run_id, places)
    rival = ask_champion(champion, splits, candidate.evaluation, places) if champion else None
    ruling = promotion_rules.decide(candidate.own_rules, rival, splits.classes, candidate.costs, acceptance)
    promoted: Verdict = "waiting" if ruling.for_person or acceptance.require_approval else "promoted"
    number = register_candidate(candidate, mlflow_run_id, ruling.reason, before).number if ruling.promote else before
    decision = Release(
        verdict=promoted if ruling.promote else "kept",
        cause=ruling.cause,
        reason=ruling.reason + (f"; {explain_choices(number, ruling.cause, places)}" if ruling.for_person else ""),
        version=number,
        champion_before=before,
        decided_in=candidate.run_id,
        rules=tuple(ruling.rules),
        tracked=mlflow_run_id,
    )
    runs.save_decision(mlflow_run_id, decision, places)
    carry_out(decision, places)
    runs.mark_applied(mlflow_run_id, decision, places)
    return decision


def explain_choices(number: int | None, cause: RulingCause, places: Places) -> str:
    """Return the ways in which a person can go on with a model that waits: with one of other parts there are two."""
    promote = f"`{promote_command(number, places)}` brings it into use all the same"
    own_name = (
        "`flows/retrain.py` with the same settings and `--places.registered_model NAME` gives it a name of its own"
    )
    return f"{promote}, and {own_name}" if cause == "unknown_source" else promote


def promote_command(number: int | None, places: Places) -> str:
    """Return the command that brings a version into use."""
    return f"flows/promote.py --version {number}{registry.model_option(places)}"


def carry_out(decision: Release, places: Places) -> None:
    """Promote the version, or let it wait.

    Raises ChampionChanged, and leaves nothing of the version, when another one came into use meanwhile.
    """
    if decision.verdict == "waiting" and decision.version:
        registry.challenge(decision.version, places)
    elif decision.verdict == "promoted" and decision.version:
        try:
            registry.promote(decision.version, decision.champion_before, places)
        except registry.ChampionChanged:
            registry.discard(decision.version, places)
            runs.abandon(decision.tracked, places)
            raise


def register_candidate(candidate: Candidate, mlflow_run_id: str, reason: str, before: int | None) -> registry.Version:
    """Register the candidate as a version, and read it back before anybody can use it."""
    folder, name = model_folder.path(candidate.exports.digest, candidate.places), candidate.model.name
    version = registry.register(folder, name, mlflow_run_id, candidate.run_id, reason, before, candidate.places)
    model_folder.read_back(version, candidate.places)
    return version
