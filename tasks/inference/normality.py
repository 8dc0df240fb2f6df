"""Normality: set the limits of a network that learned from good parts alone, by good parts that it did not learn from.

Nobody knows how defects would score. So the limits promise how many good parts are flagged, and nothing about defects.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import compress

import numpy as np

from tasks.evaluation.metrics import auc
from tasks.images import loading
from tasks.images.blemishes import draw_blemishes
from tasks.inference import forward
from tasks.inference.decision import DecisionRule, Evidence
from tasks.inference.runtimes import Network
from tasks.records.results import DrawnBlemishes, Normality
from tasks.records.rows import SPLITS, Row
from tasks.settings.errors import BadInput
from tasks.settings.messages import say
from tasks.settings.settings import EvaluationSettings, Places

BLOCK = 512  # images in memory at a time
LIMIT = 0.9  # anomaly score from which on a part is rejected; from 0.5 on a person looks
LEAST_SPREAD = 0.05  # of margins, above all that was seen
LEAST_BAND = 0.5  # of margins, between the limits: so that scores far above them still differ


def with_normal_limits(
    rule: DecisionRule, held_out: Sequence[tuple[Row, Evidence]], settings: EvaluationSettings
) -> DecisionRule:
    """Return the rule with limits from held-out good parts: what few of them exceed goes to a person, what hardly any exceeds is rejected.

    So few good parts may be rejected that they cost no more than looks at all that are flagged. Raises BadInput where the network sees
    none of these parts.
    """
    judged = [(row, image) for row, image in held_out if np.isfinite(image.margin)]
    if not judged:
        raise BadInput(
            "no held-out good part gets a number from the network, so nothing sets its limits: bring more good parts"
        )
    margins, parts = np.array([image.margin for _, image in judged]), len({row.group for row, _ in judged})
    flagged = settings.flagged_share
    rejected = flagged * min(1, settings.review_cost / settings.false_reject_cost)
    low, high = limits(margins, parts, flagged, rejected)
    scale = (high - low) / math.log(LIMIT / (1 - LIMIT))
    return rule.model_copy(
        update={
            "temperature": scale,
            "offset": low,
            "threshold": LIMIT,
            "review_band": (0.5, LIMIT),
            "normal": Normality(
                images=len(judged), parts=parts, flagged_share=flagged, rejected_share=float(f"{rejected:.6g}")
            ),
        }
    )


def limits(margins: np.ndarray, parts: int, flagged: float, rejected: float) -> tuple[float, float]:
    """Return the margins that these shares of good parts exceed, from the margins (images,) of good images of so many parts.

    A share that is too small to be counted among so few parts is estimated: the upper half of the margins is continued as an exponential
    tail (peaks over threshold, Pickands, 1975), and no margin that was seen reaches the limit.
    """
    median, greatest = float(np.median(margins)), float(margins.max())
    above = margins[margins > median] - median
    spread = max(float(above.mean()) if len(above) else 0.0, LEAST_SPREAD)
    low = (
        halfway_above(flagged, margins)
        if parts * flagged >= 1
        else max(greatest + LEAST_SPREAD, median + spread * math.log(0.5 / flagged))
    )
    high = (
        halfway_above(rejected, margins)
        if parts * rejected >= 1
        else max(greatest + LEAST_SPREAD, low + spread * math.log(flagged / rejected))
    )
    return low, max(low + LEAST_BAND, high)


def halfway_above(share: float, margins: np.ndarray) -> float:
    """Return a limit that no more than this share of the margins reaches.

    It lies halfway between two of them, so that rounding, as in another format of the network, moves no image across.
    """
    lower = np.sort(margins)[::-1][int(share * len(margins))]
    greater = margins[margins > lower]
    return float((lower + greater.min()) / 2) if len(greater) else float(lower) + LEAST_SPREAD


def judge_blemishes(
    network: Network, rows: Sequence[Row], evidence: Sequence[Evidence], rule: DecisionRule, places: Places
) -> DrawnBlemishes:
    """Draw a blemish into each good image of the test, and judge it; `evidence` is that of the rows without one."""
    good = [row.split == "test" and row.label == rule.classes.good for row in rows]
    tested, judged = list(compress(rows, good)), list[Evidence]()
    for start in range(0, len(tested), BLOCK):
        inputs = loading.load_inputs(tested[start : start + BLOCK], rule.view, rule.image_size, places, rule.crop)
        copies, _ = draw_blemishes(inputs.levels, np.arange(len(inputs.levels)), (SPLITS.index("test"), start))
        judged += forward.evidence(network, copies, inputs.residuals, inputs.small_squares)
    margins = np.array([image.margin for image in (*compress(evidence, good), *judged)])
    blemished = np.repeat([False, True], len(tested))
    counts = Counter(decision.name for decision in rule.judge(judged))
    say(
        f"evaluate: of {len(tested):,} drawn blemishes {counts['pass']:,} pass, {counts['review']:,} go to a person, "
        f"{counts['reject']:,} are rejected"
    )
    return DrawnBlemishes(
        images=len(tested),
        passed=counts["pass"],
        reviewed=counts["review"],
        rejected=counts["reject"],
        auc=auc(blemished, margins),
    )
