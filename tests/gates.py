"""Gates: make pairs of decisions about the same images, for the tests of the comparison and of the promotion rules."""

from collections.abc import Sequence

from tasks.evaluation import metrics, promotion_rules
from tasks.evaluation.comparison import Pair
from tasks.inference import decision, model_folder
from tasks.inference.decision import DECIDED_BY_PROBABILITY, DecisionRule
from tasks.records.rows import Prediction
from tasks.release import Candidate, ask_champion
from tasks.storage.tables import read_table
from tasks.tracking import registry


def make_prediction(decision: str, label: str, group: str, origin: str = "base") -> Prediction:
    return Prediction(f"{group}.jpeg", "aa", "test", origin, label, group, 0.5, decision, "", "between_limits")


def make_pairs(
    candidate: str, champion: str, count: int, label: str = "def_front", origin: str = "base", each: int = 1
):
    """So many castings of this label, each on `each` images that the two decide about like this."""
    return [
        Pair(*(make_prediction(one, label, f"{origin} {label} {candidate} {champion} {number}", origin) for one in (candidate, champion)))
        for number in range(count)
        for _ in range(each)
    ]  # fmt: skip


def move_probabilities(predictions: Sequence[Prediction], rule: DecisionRule, shift: float) -> list[Prediction]:
    """The predictions with all probabilities moved, and decided anew where the probability decides."""
    moved = []
    for prediction in predictions:
        chance = min(max(prediction.defect_probability + shift, 0.0), 1.0)
        anew = rule.decide_by_probability(chance) if prediction.cause in DECIDED_BY_PROBABILITY else None
        moved.append(
            prediction._replace(
                defect_probability=chance, **(anew and {"decision": anew.name, "cause": anew.cause} or {})
            )
        )
    return moved


def rule_with_moved_probabilities(candidate: Candidate, shift: float, champion_shift: float) -> promotion_rules.Ruling:
    """What the gate would decide if the candidate and the model in use gave probabilities moved by so much."""
    places, evaluation, classes = candidate.places, candidate.evaluation, candidate.splits.classes
    champion = registry.champion(places)
    rival = ask_champion(champion, candidate.splits, evaluation, places) if champion else None
    rule = decision.read(evaluation.decision.path(places))
    predictions = read_table(evaluation.predictions.path(places), Prediction)
    test = move_probabilities([image for image in predictions if image.split == "test"], rule, shift)
    moved = candidate._replace(
        evaluation=evaluation.model_copy(update={"test": metrics.score(test, classes, candidate.costs)})
    )
    if champion and rival and rival.pairs:
        champion_rule = decision.read(model_folder.path(champion.model, places) / "decision.json")
        sides = [
            move_probabilities([pair.candidate for pair in rival.pairs], rule, shift),
            move_probabilities([pair.champion for pair in rival.pairs], champion_rule, champion_shift),
        ]
        rival = rival._replace(pairs=[Pair(*pair) for pair in zip(*sides, strict=True)])
    return promotion_rules.decide(moved.own_rules, rival, classes, candidate.costs, candidate.acceptance)
