"""Study results: what the agreement study shows so far, in numbers. The page puts them into words."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tasks.evaluation.agreement import (
    DEFECT,
    GOOD,
    UNDECIDED,
    Agreement,
    ModelComparison,
    cohen_agreement,
    compare_model,
    fleiss_agreement,
)
from tasks.evaluation.repeatability import Repeatability, decision_repeatability
from tasks.labeling.looks import REPEAT_DAYS, Look
from tasks.labeling.product import Product
from tasks.labeling.study import StudyPhotograph
from tasks.records.rows import Prediction
from tasks.reporting.markdown import number_of
from tasks.settings.settings import EvaluationSettings
from tasks.storage.tables import read_state

SETTINGS = EvaluationSettings()  # level, draws and seed of the intervals


class StudyResults(NamedTuple):
    """What the study shows so far."""

    people: tuple[str, ...]
    between: Agreement
    """Of the first looks of all people."""
    two_people: Agreement | None
    """The same with Cohen's kappa; None unless two people looked."""
    within: Agreement
    """Of first and second looks, over all people."""
    own: Agreement
    """The same, of the person who asks alone."""
    model: ModelComparison
    repeatability: Repeatability | None


def study_results(
    looks: Sequence[Look], study: Sequence[StudyPhotograph], person: str, product: Product
) -> StudyResults:
    """Return what the looks show, for this person."""
    first = [look for look in looks if look.round == 1]
    people = tuple(sorted({look.person for look in first}))
    counts, part = count_answers(first, study), np.array([photograph.part for photograph in study])
    decisions = np.array([photograph.model_answer for photograph in study], str)
    return StudyResults(
        people=people,
        between=fleiss_agreement(counts, part, SETTINGS),
        two_people=agreement_of_two(first, people, study) if len(people) == 2 else None,
        within=agreement_within(looks, study),
        own=agreement_within([look for look in looks if look.person == person], study),
        model=compare_model(counts, decisions, part, SETTINGS),
        repeatability=decision_repeatability(
            read_state(product.run / "predictions.csv", Prediction), SETTINGS.confidence
        ),
    )


def class_of(look: Look) -> int:
    """Return the answer as a column of the table of counts."""
    return {"good": GOOD, "defect": DEFECT}.get(look.label, UNDECIDED)


def count_answers(looks: Iterable[Look], study: Sequence[StudyPhotograph]) -> np.ndarray:
    """Return how many people gave each answer: int (photographs, 3)."""
    order = {photograph.sha256: number for number, photograph in enumerate(study)}
    counts = np.zeros((len(study), UNDECIDED + 1), int)
    for look in looks:
        counts[order[look.sha256], class_of(look)] += 1
    return counts


def agreement_of_two(looks: Iterable[Look], people: Sequence[str], study: Sequence[StudyPhotograph]) -> Agreement:
    """Return how far two people agree on the photographs at which both looked."""
    answers = {(look.person, look.sha256): class_of(look) for look in looks}
    keys = {
        (photograph.sha256, photograph.part): [(name, photograph.sha256) for name in people] for photograph in study
    }
    return agreement_of_pairs({key: [answers.get(name) for name in names] for key, names in keys.items()})


def agreement_within(looks: Iterable[Look], study: Sequence[StudyPhotograph]) -> Agreement:
    """Return how far people agree with themselves: each pair of looks of one person at one photograph counts once."""
    answers = {(look.person, look.sha256, look.round): class_of(look) for look in looks}
    part = {photograph.sha256: photograph.part for photograph in study}
    pairs = {(f"{person} {sha256}", part[sha256]): [answers.get((person, sha256, which)) for which in (1, 2)]
             for person, sha256, _ in answers}  # fmt: skip
    return agreement_of_pairs(pairs)


def agreement_of_pairs(pairs: dict[tuple[str, str], list[int | None]]) -> Agreement:
    """Return how far the two answers of each pair agree. Pairs that lack one are left out; the key's second text is the part."""
    whole = [(answers, key[1]) for key, answers in pairs.items() if None not in answers]
    first, second = np.array([answers for answers, _ in whole], int).reshape(-1, 2).T
    return cohen_agreement(first, second, np.array([part for _, part in whole], str), SETTINGS)


def summary_line(study: Sequence[StudyPhotograph]) -> str:
    """Return what was drawn, in a sentence."""
    parts, hard = {row.part for row in study}, {row.part for row in study if row.hard}
    return (
        f"study: {number_of(len(study), 'photograph')} of {number_of(len(parts), 'part')} are drawn, {len(hard)} of them hard ones; "
        "everybody who inspects answers them on the review page (Second look), "
        f"and again after {REPEAT_DAYS} days"
    )
