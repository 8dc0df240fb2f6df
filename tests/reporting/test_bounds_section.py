"""Bounds section: what is shown, with which confidence, and what is missing, in words and in a chart."""

from xml.etree import ElementTree

import numpy as np
import pytest
from nasty import NASTY

from tasks.evaluation.by_part import Parts, rate
from tasks.records.results import Decided, Guarantee, Rate
from tasks.reporting.bounds_section import bounds, chart, describe_guarantee, questions, sentence
from tasks.settings.settings import AcceptanceSettings, EvaluationSettings

LIMITS, SETTINGS = AcceptanceSettings(), EvaluationSettings()
ESCAPE, REJECT, REVIEW = questions(LIMITS)


def make_rate(failed: list[int], images: int = 10) -> Rate:
    """The rate of parts with so many failed images each."""
    member = np.repeat(np.arange(len(failed)), images)
    happened = np.concatenate([np.arange(images) < count for count in failed] or [np.zeros(0, bool)])
    return rate(Parts(member, len(failed), True), np.ones(len(member), bool), happened, 0.95)


def make_decided(escape: Rate, *, by_part: bool = True) -> Decided:
    return Decided(escape=escape, false_reject=make_rate([]), review=escape, by_part=by_part)


def test_no_escape_on_few_parts_is_said_with_what_is_missing():
    assert sentence(ESCAPE, make_decided(make_rate([0] * 14)), 0.95) == (
        "0 of 14 defective parts escaped: the rate is below 19.3% with 95% confidence. "
        "To show 5%, 59 defective parts without an escape are needed: 45 more."
    )


def test_what_is_shown_is_said_to_be():
    assert sentence(ESCAPE, make_decided(make_rate([0] * 59)), 0.95).endswith(
        "below 5.0% with 95% confidence. 5% is shown."
    )


def test_where_some_escaped_photographs_are_counted_too_and_another_one_must_not():
    said = sentence(ESCAPE, make_decided(make_rate([3, *[0] * 19])), 0.95)
    assert said.startswith("1 of 20 defective parts escaped, 3 of 200 photographs (1.5%): the rate is below 16.4% ")
    assert said.endswith("without another escape are needed: 50 more.")


def test_what_cannot_be_shown_or_was_not_tested_is_said():
    strict = questions(AcceptanceSettings(max_escape_rate=0))[0]
    assert sentence(strict, make_decided(make_rate([0] * 14)), 0.95).endswith(
        "No number of defective parts can show 0%."
    )
    assert sentence(REJECT, make_decided(make_rate([0])), 0.95) == (
        "No good part was tested, so nothing is shown about a false reject."
    )


def test_without_parts_photographs_count_and_that_is_said(evaluation):
    assert sentence(ESCAPE, make_decided(make_rate([0] * 14, 1), by_part=False), 0.95).startswith(
        "0 of 14 defective photographs escaped: "
    )
    assert "Which photographs show one part is not known" in bounds(evaluation, SETTINGS, LIMITS)


def test_each_origin_has_its_bounds_and_the_gate_says_what_it_compares(evaluation):
    said = bounds(evaluation, SETTINGS, LIMITS)
    assert "found, not shown" in said
    assert "| `line 2` |" in said
    shown = bounds(evaluation, SETTINGS, AcceptanceSettings(confidence=0.9))
    assert "compare these bounds with their limits, at 90% confidence" in shown
    assert "with 90% confidence" in shown.splitlines()[0]


@pytest.mark.parametrize("name", NASTY)
def test_the_chart_is_sound_xml_whatever_an_origin_is_called(evaluation, name):
    slices = {"base": evaluation.slices["base"], name: evaluation.slices["line 2"]}
    drawn = ElementTree.fromstring(chart(evaluation.model_copy(update={"slices": slices}), SETTINGS, LIMITS))
    tags = [element.tag.rpartition("}")[2] for element in drawn.iter()]
    assert (tags.count("circle"), tags.count("script"), tags.count("rect")) == (9, 0, 10)


def test_the_chart_shows_what_was_found_beside_the_bound_and_the_limit(evaluation):
    drawn = chart(evaluation, SETTINGS, LIMITS)
    for text in ("defective parts that escaped", "parts that went to a person, line 2", "100%"):
        assert text in drawn


PROMISE = Guarantee(share=0.05, confidence=0.95, parts=73, may_pass=0, missing=0, by_part=True)


def test_the_guarantee_says_what_is_promised_and_whom_it_covers(evaluation):
    promised = describe_guarantee(PROMISE)
    assert promised.startswith(
        "Guarantee: with 95% confidence at most 5% of defective parts pass. 73 defective parts were used; 0 of them may pass. "
    )
    assert promised.endswith("no origin that was not among them: images unlike these go to a person.")
    assert "Guarantee" not in bounds(evaluation, SETTINGS, LIMITS)
    assert promised in bounds(evaluation.model_copy(update={"guarantee": PROMISE}), SETTINGS, LIMITS)
    assert "may not hold by part" in describe_guarantee(PROMISE.model_copy(update={"by_part": False}))


def test_where_nothing_passes_the_parts_that_are_missing_are_all_that_is_said():
    missing = PROMISE.model_copy(update={"parts": 23, "missing": 36})
    assert describe_guarantee(missing) == f"{missing.summary()}."
