"""Checked parts: what people said, blind, of the parts that spot checks drew, and what follows for all parts that were decided."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tasks.evaluation.intervals import parts_needed, upper_bound
from tasks.labeling.label_log import LabelLog, valid_rows
from tasks.monitoring.escape_alarm import AlarmState, watch_escapes
from tasks.monitoring.production import JudgedPhotograph, judged_photographs
from tasks.monitoring.spot_checks import DECIDED, QUEUE, draw, load_settings, parts_by_stratum, spot_check_secret
from tasks.records.rows import LabelRow
from tasks.records.run import ErrorRate, ProductionFacts
from tasks.settings.settings import Places, SpotCheckSettings

LEAST_ANSWERED = (
    0.5  # of the drawn parts of a week: one answer of a week that has just begun would make the bound useless
)
WRONG = {"pass": "defect", "reject": "good"}  # the answer that makes a decision a wrong one


class CheckedPart(NamedTuple):
    """A part about whose photographs people answered, all of them."""

    answer: str
    """`defect` if one photograph shows a defect; else `good` if one shows that it is good; else "", as nobody can tell."""
    order: int
    """Of the last first answer about its photographs, among all answers."""


class CheckedStratum(NamedTuple):
    """The parts of one week at a station with one decision, as counts."""

    parts: int
    """All of them, drawn or not."""
    waiting: int
    """Drawn parts without an answer."""
    usable: int
    """Drawn parts that a person called good or defective."""
    wrong: int
    """So many of these were decided wrongly."""
    answered: int
    """Drawn parts with any answer."""


def checked_parts(judged: Iterable[JudgedPhotograph], labels: Iterable[LabelRow]) -> dict[str, CheckedPart]:
    """Return the parts whose decided photographs all have an answer of a spot check, by key.

    A part waits until people answered about all of them. If a defect ended the wait sooner, defective parts would be counted before good
    ones. A corrected answer takes the place of the first one.
    """
    answers, orders = dict[str, str](), dict[str, int]()
    for number, row in enumerate(valid_rows(labels)):
        if row.queue == QUEUE:
            answers[row.sha256] = row.label
            orders.setdefault(row.sha256, number)
    contents: dict[str, set[str]] = defaultdict(set)
    for photograph in judged:
        if photograph.sha256 and photograph.decision in DECIDED:
            contents[photograph.part_key].add(photograph.sha256)
    return {
        part: CheckedPart(clearest({answers[sha256] for sha256 in own}), max(orders[sha256] for sha256 in own))
        for part, own in contents.items()
        if own <= answers.keys()
    }


def clearest(answers: set[str]) -> str:
    """Return what the answers about its photographs say of a part."""
    return next((answer for answer in ("defect", "good") if answer in answers), "")


def find_alarm(
    judged: Iterable[JudgedPhotograph], labels: Iterable[LabelRow], settings: SpotCheckSettings
) -> AlarmState:
    """Return how the bet against too many escapes stands for a version, by the checked parts that it passed, in their order.

    `judged` is what this version judged. A part that was drawn and checked, and then replaced in its week's sample, counts too: it was
    drawn by chance, and a sequence that is watched must not lose members.
    """
    judged = list(judged)
    checked = checked_parts(judged, labels)
    passed = (
        part for stratum, parts in parts_by_stratum(judged).items() if stratum.decision == "pass" for part in parts
    )
    checks = sorted((checked[part].order, checked[part].answer) for part in passed if part in checked)
    return watch_escapes([answer == "defect" for _, answer in checks if answer], settings.max_wrong_share)


def checked_production(places: Places) -> tuple[dict[int, list[JudgedPhotograph]], list[LabelRow]]:
    """Return what each version judged, by its number, and all answers. Where nobody checked a part, read no table of what was judged."""
    labels = LabelLog(places).rows()
    return judged_photographs(places) if has_checks(labels) else {}, labels


def has_checks(labels: Iterable[LabelRow]) -> bool:
    """Return whether an answer of a spot check is among these."""
    return any(row.queue == QUEUE for row in labels)


def production_facts(
    judged: Mapping[int, Sequence[JudgedPhotograph]], labels: Sequence[LabelRow], places: Places
) -> list[ProductionFacts]:
    """Return what spot checks show of all versions together, then of each one; nothing of those of which no part is checked.

    `judged` is what each version judged, by its number.
    """
    if not has_checks(labels):
        return []
    secret, settings = spot_check_secret(places), load_settings(places)
    together = [row for rows in judged.values() for row in rows]
    groups: list[tuple[int | None, Sequence[JudgedPhotograph]]] = [(None, together), *judged.items()]
    rates = {version: estimate_errors(rows, labels, secret, settings) for version, rows in groups}
    return [
        ProductionFacts(version=version, passed=rate["pass"], rejected=rate["reject"])
        for version, rate in rates.items()
        if rate["pass"].checked or rate["reject"].checked
    ]


def estimate_errors(
    judged: Sequence[JudgedPhotograph], labels: Iterable[LabelRow], secret: bytes, settings: SpotCheckSettings
) -> dict[str, ErrorRate]:
    """Estimate for each decision how many of all parts with it are wrong, from the drawn parts that people judged blind."""
    checked = checked_parts(judged, labels)
    strata: dict[str, list[CheckedStratum]] = {decision: [] for decision in DECIDED}
    for (_, _, decision), parts in parts_by_stratum(judged).items():
        strata[decision].append(count_stratum(parts, draw(parts, secret, settings), checked, WRONG[decision]))
    return {decision: summarize(own, settings) for decision, own in strata.items()}


def count_stratum(
    parts: Sequence[str], drawn: Sequence[str], checked: Mapping[str, CheckedPart], wrong: str
) -> CheckedStratum:
    """Return the counts of a stratum. `wrong` is the answer that makes its decision a wrong one."""
    answers = [checked[part].answer for part in drawn if part in checked]
    usable = [answer for answer in answers if answer]
    return CheckedStratum(len(parts), len(drawn) - len(answers), len(usable), usable.count(wrong), len(answers))


def summarize(strata: Iterable[CheckedStratum], settings: SpotCheckSettings) -> ErrorRate:
    """Return the rate over the strata of which enough is checked: `LEAST_ANSWERED` of what was drawn.

    Weeks have different shares of checked parts, so each week counts by its parts (the stratified mean; Cochran, Sampling Techniques,
    1977, chapter 5). The bound is exact for as many parts as all strata would have given at the least share of any: at equal shares the
    sum over strata spreads no more than a binomial one (Hoeffding, 1956), and further checks only narrow it.
    """
    strata = list(strata)
    known = [row for row in strata if row.usable and row.answered >= LEAST_ANSWERED * (row.answered + row.waiting)]
    sizes, checks, wrong = (
        np.array([getattr(row, name) for row in known], float) for name in ("parts", "usable", "wrong")
    )
    counts = {
        "decided": sum(row.parts for row in strata),
        "checked": sum(row.usable for row in strata),
        "wrong": sum(row.wrong for row in strata),
        "waiting": sum(row.waiting for row in strata),
    }
    if not known:
        return ErrorRate(**counts)
    rate = float((sizes * wrong / checks).sum() / sizes.sum())
    effective = float((checks / sizes).min() * sizes.sum())
    needed = parts_needed(rate * effective, settings.max_wrong_share, settings.confidence)
    return ErrorRate(
        **counts,
        rate=rate,
        bound=upper_bound(rate * effective, effective, settings.confidence),
        more=None if needed is None else max(0, int(np.ceil(needed - effective))),
    )
