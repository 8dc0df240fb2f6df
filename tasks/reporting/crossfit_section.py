"""Crossfit section: how all labeled parts are judged by networks that never saw them, in words and tables."""

from tasks.records.results import Crossfit, OutOfFold, PartErrors, Score
from tasks.reporting.bounds_section import by_origin, confidence_of, questions, sentences
from tasks.reporting.markdown import code, number_of, out_of, table
from tasks.settings.settings import AcceptanceSettings, EvaluationSettings

MOST_PARTS = 12  # in the table of parts with errors
HEADS = ("Fold", "Images", "Parts", "Accuracy", "AUC", "Defects missed", "Good parts refused", "For a person")


def crossfit(
    result: Crossfit, out_of_fold: OutOfFold, settings: EvaluationSettings, acceptance: AcceptanceSettings
) -> str:
    """Return what the judgments out of fold show, by fold, by origin and by part, and what they cost."""
    score, topics, confidence = result.score, questions(acceptance), confidence_of(settings, acceptance)
    unit = "part" if score.decided.by_part else "photograph"
    seconds = sum(fold.model.cpu_seconds for fold in out_of_fold.folds)
    introduction = (
        f"Each of {number_of(score.images, 'photograph')} of {number_of(score.decided.review.parts, unit)} was judged once, by one of "
        f"{len(result.folds)} networks that never saw its part. These say more about new parts than the test does: they rest on all parts. "
        f"The released network learned from other parts than each of them, so it may differ. The trainings took {seconds:,.0f} CPU seconds."
    )
    unknown = "" if score.decided.by_part else (
        "Which photographs show one part is not known, so another photograph of a part may have trained: the figures may be too good."
    )  # fmt: skip
    rows = [fold_row(f"{number}", fold) for number, fold in enumerate(result.folds, start=1)]
    return "\n\n".join(filter(None, [
        introduction,
        unknown,
        sentences(score.decided, topics, confidence),
        table(HEADS, [*rows, fold_row("all", score)]),
        *by_origin(result.slices, topics, confidence),
        worst_parts(result.worst),
    ]))  # fmt: skip


def fold_row(name: str, score: Score) -> tuple[str, ...]:
    """Return the cells of a fold: calls at the likelier class, and how many photographs go to a person."""
    return (
        name,
        f"{score.images:,}",
        f"{score.decided.review.parts:,}",
        "" if score.accuracy is None else f"{score.accuracy:.2%}",
        "" if score.auc is None else f"{score.auc:.4f}",
        out_of(score.missed_defects, score.defects),
        out_of(score.false_rejects, score.good),
        f"{score.reviews_decided:,}",
    )


def worst_parts(worst: tuple[PartErrors, ...]) -> str:
    """Return the table of the parts with the most wrong calls; empty where there is none."""
    if not worst:
        return ""
    rows = [(code(part.first), part.label, out_of(part.errors, part.images)) for part in worst[:MOST_PARTS]]
    more = f"\n\n{number_of(len(worst) - MOST_PARTS, 'more part')} with errors." if len(worst) > MOST_PARTS else ""
    return table(("Parts called wrongly, by a photograph", "Label", "Photographs called wrongly"), rows) + more
