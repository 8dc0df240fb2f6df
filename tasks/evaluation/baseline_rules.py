"""Baseline rules: the rules of release by which a model must be shown to be better than simple rules."""

from math import comb

from tasks.evaluation.baseline_comparison import MIN_PARTS
from tasks.records.results import BaselineComparison, PairedParts, RankedParts, Rule, RuleCode
from tasks.settings.settings import AcceptanceSettings

UNSHOWN = "cannot be shown: "  # before what is missing
BASELINES: tuple[tuple[RuleCode, str, str], ...] = (  # code and name of a rule, and the field of what was compared
    ("beside_majority", "beside the majority", "majority"),
    ("beside_lookup", "beside the look-up", "lookup"),
    ("beside_shortcuts", "beside shortcuts", "shortcuts"),
)


def baseline_rules(
    comparison: BaselineComparison | None, acceptance: AcceptanceSettings, *, good_alone: bool = False
) -> list[Rule]:
    """Return a rule for each baseline: the model is shown to be better. Where nothing can show it, a person decides.

    A model of good parts alone, `good_alone`, is held against the majority alone: look-up and shortcuts learn from the same images, and
    call everything good as the majority does.
    """
    if not acceptance.beyond_baselines:
        return []
    missing = missing_evidence(comparison, acceptance.significance, good_alone=good_alone)
    return [
        Rule(
            code=code,
            name=name,
            figure=f"{UNSHOWN}{missing}",
            limit="shown to be better, else a person decides",
            kept=False,
            for_person=True,
        )
        if missing
        else baseline_rule(code, name, getattr(comparison, compared), acceptance.significance)
        for code, name, compared in (BASELINES[:1] if good_alone else BASELINES)
    ]


def baseline_rule(code: RuleCode, name: str, baseline: RankedParts | PairedParts, significance: float) -> Rule:
    """Return the rule that the model is better than a baseline, by what the parts show that do not train."""
    limit, shown = f"p below {significance:g} is needed", baseline.p < significance
    if isinstance(baseline, PairedParts):
        figure = f"better on {baseline.better:,} parts, worse on {baseline.worse:,} (p = {baseline.p:.2g})"
        return Rule(code=code, name=name, figure=figure, limit=limit, kept=shown)
    figure = (
        f"ranks defective parts above good ones (p = {baseline.p:.2g}), costs {baseline.cost:.3f} an image instead of "
        f"{baseline.constant_cost:.3f}"
    )
    kept, limit = shown and baseline.cheaper, f"{limit}, and a lower cost"
    return Rule(code=code, name=name, figure=figure, limit=limit, kept=kept)


def missing_evidence(
    comparison: BaselineComparison | None, significance: float = 1.0, *, good_alone: bool = False
) -> str:
    """Say why these parts cannot show with p below `significance` that a model is better, however good; empty where they can.

    `good_alone` says that the model learned from good parts alone, so that no folds can judge more.
    """
    if comparison is None:
        return "it was judged before there was a comparison with baselines"
    if comparison.evidence is None:
        return "which photographs show one part is not known (--parts can say it)"
    folds_help = comparison.evidence != "out of fold" and not good_alone
    more = " (--crossfit.folds judges all parts)" if folds_help else ""
    defective, good = comparison.defective_parts, comparison.good_parts
    counts = f"{comparison.parts:,} parts do not train, {defective:,} defective and {good:,} good"
    if comparison.parts < MIN_PARTS:
        return f"{counts}, and {MIN_PARTS} are needed{more}"
    if not defective or not good:
        return f"{counts}, and both classes are needed{more}"
    if comb(defective + good, good) <= 1 / significance:  # p of a perfect order is one in so many
        return f"{counts}, too few of one class for p below {significance:g}{more}"
    return ""
