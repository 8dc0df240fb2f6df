"""Study page: what the agreement study shows so far, as one page to print, each number with a sentence on what it means."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from tasks.evaluation.agreement import GOOD_KAPPA, POOR_KAPPA, RATE_WIDTH, Agreement, Estimate, parts_missing
from tasks.labeling.label_log import SECOND_LOOK
from tasks.labeling.looks import REPEAT_DAYS, looks_of, missing_looks
from tasks.labeling.study import StudyPhotograph, read_study
from tasks.records.results import Rate
from tasks.reporting.markdown import number_of
from tasks.review.access import require_person
from tasks.review.desk import Desk
from tasks.review.study_results import SETTINGS, StudyResults, study_results
from tasks.review.texts import STUDY

NONE = "\u2013"  # where there is no number


class Result(NamedTuple):
    """A line of the table."""

    what: str
    number: str
    basis: str
    meaning: str
    is_own: bool = False
    """Only the person who asks sees it, and it is not printed."""


def add_study(app: FastAPI, desk: Desk, show: Callable[..., HTMLResponse]) -> None:
    """Add the page of the agreement study."""

    @app.get("/study")
    def study_page(request: Request) -> Response:
        person = require_person(request.session)
        study = read_study(desk.places)
        values = page_values(study, person, desk) if study else {"drawn": STUDY["none"]}
        return show(request, "study.html", study=STUDY, **values)


def page_values(study: Sequence[StudyPhotograph], person: str, desk: Desk) -> dict[str, Any]:
    """Return what the page of a study shows to this person."""
    looks = looks_of(desk.log.rows(), study)
    results = study_results(looks, study, person, desk.product)
    gone = len(study) - len(desk.cards[SECOND_LOOK])
    model = results.model
    return {
        "drawn": describe_draw(study),
        "gone": STUDY["gone"].format(gone=gone) if gone else "",
        "missing": missing_looks(looks, study, person),
        "days": REPEAT_DAYS,
        "results": [*people_rows(results), *own_rows(results), *model_rows(results), repeat_row(results)],
        "confidence": f"{SETTINGS.confidence:.0%}",
        "left_out": STUDY["left_out"].format(ties=model.ties, too_few=model.too_few, reviews=model.reviews),
        "printed": datetime.now(UTC).date().isoformat(),
    }


def describe_draw(study: Sequence[StudyPhotograph]) -> str:
    """Return what was drawn, and how."""
    parts, hard = {row.part for row in study}, {row.part for row in study if row.hard}
    return STUDY["drawn"].format(
        parts=number_of(len(parts), "part"), photographs=number_of(len(study), "photograph"), day=study[0].drawn[:10],
        run=study[0].run, seed=study[0].seed, hard=len(hard),
    )  # fmt: skip


def people_rows(results: StudyResults) -> Iterator[Result]:
    """Yield the lines on people, between each other and with themselves."""
    between = STUDY["between_basis"].format(
        photographs=number_of(results.between.photographs, "photograph"),
        parts=number_of(results.between.parts, "part"),
        people="1 person" if len(results.people) == 1 else f"{len(results.people)} people",
    )
    yield from pair("people_share", "people_fleiss", between, "between_meaning", "no_pairs", results.between)
    if results.two_people:
        yield kappa_row("people_cohen", between, "no_pairs", results.two_people)
    yield from pair(
        "self_share", "self_kappa", within_basis(results.within), "within_meaning", "no_looks", results.within
    )


def own_rows(results: StudyResults) -> list[Result]:
    """Return the lines that only the person who asks sees."""
    basis = f"{within_basis(results.own)}. {STUDY['own_note']}"
    rows = pair("own_share", "own_kappa", basis, "within_meaning", "no_looks", results.own)
    return [row._replace(is_own=True) for row in rows]


def within_basis(agreement: Agreement) -> str:
    """Return how many pairs of looks stand behind a number."""
    return STUDY["within_basis"].format(
        pairs=number_of(agreement.photographs, "pair"), parts=number_of(agreement.parts, "part")
    )


def model_rows(results: StudyResults) -> Iterator[Result]:
    """Yield the lines on the model against people."""
    model = results.model
    basis = STUDY["model_basis"].format(
        photographs=number_of(model.agreement.photographs, "photograph"), parts=number_of(model.agreement.parts, "part")
    )
    yield from pair("model_share", "model_kappa", basis, "model_meaning", "no_majority", model.agreement)
    for name, rate in (("misses", model.misses), ("false_alarms", model.false_alarms)):
        yield rate_row(name, rate)


def repeat_row(results: StudyResults) -> Result:
    """Return the line on the decisions about several photographs of one part."""
    repeat = results.repeatability
    if repeat is None:
        return Result(STUDY["repeatability"], NONE, "", STUDY["no_repeats"])
    basis = STUDY["repeat_basis"].format(
        same=repeat.same, parts=number_of(repeat.parts, "part"), opposite=repeat.opposite
    )
    return Result(
        STUDY["repeatability"], share_text(repeat.share), basis, add_more(STUDY["repeat_meaning"], repeat.share)
    )


def pair(share: str, kappa: str, basis: str, meaning: str, missing: str, agreement: Agreement) -> Iterator[Result]:
    """Yield the lines of a share and its kappa; texts are named as in `STUDY`."""
    observed = agreement.observed
    text = STUDY[missing] if observed.value is None else add_more(STUDY[meaning], observed)
    yield Result(STUDY[share], share_text(observed), basis, text)
    yield kappa_row(kappa, "", missing, agreement)


def kappa_row(name: str, basis: str, missing: str, agreement: Agreement) -> Result:
    """Return the line of a kappa, with the words of AIAG for its size."""
    kappa = agreement.kappa
    if kappa.value is None:
        return Result(STUDY[name], NONE, basis, STUDY[missing if agreement.observed.value is None else "one_class"])
    if kappa.interval is None:
        return Result(STUDY[name], f"{kappa.value:.2f}", basis, STUDY["certain_kappa"])
    low, high = kappa.interval
    size = "good_kappa" if low > GOOD_KAPPA else "poor_kappa" if high < POOR_KAPPA else "middle_kappa"
    meaning = add_more(STUDY[size].format(good=GOOD_KAPPA, poor=f"{POOR_KAPPA:.2f}"), kappa)
    return Result(STUDY[name], f"{kappa.value:.2f} ({low:.2f} to {high:.2f})", basis, meaning)


def rate_row(name: str, rate: Rate) -> Result:
    """Return the line of misses or of false alarms."""
    basis = STUDY[f"{name}_basis"].format(count=rate.count, total=rate.total)
    if rate.rate is None or rate.interval is None:
        return Result(STUDY[name], NONE, basis, STUDY["no_majority"])
    share = Estimate(rate.rate, rate.interval, parts_missing(rate.interval, rate.parts, RATE_WIDTH))
    return Result(STUDY[name], share_text(share), basis, add_more(STUDY[f"{name}_meaning"], share))


def share_text(estimate: Estimate) -> str:
    """Return a share with its interval, in percent."""
    if estimate.value is None:
        return NONE
    interval = f" ({100 * estimate.interval.low:.1f} to {estimate.interval.high:.1%})" if estimate.interval else ""
    return f"{estimate.value:.1%}{interval}"


def add_more(meaning: str, estimate: Estimate) -> str:
    """Return the sentence; where the interval is too wide to say something, how many parts would do."""
    more = STUDY["more_parts"].format(more=number_of(estimate.more_parts, "part"))
    return f"{meaning} {more}" if estimate.more_parts else meaning
