"""How soon does the alarm notice that more passed parts are defective than is accepted, and how often does it err?

python benchmarks/escape_alarm.py [--lives 2000] [--json FILE]

Each life is a year of spot checks on parts that pass. False alarms: exactly the accepted share is defective all year. Detection: half a
year with 1 % of escapes, and then 5 %.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np

from benchmarks.preparation import write_figures
from tasks.monitoring.escape_alarm import ALPHA, watch_escapes

WEEKS = 52
CHECKS = (20, 50, 100)  # parts a week
ACCEPTED = (0.01, 0.02, 0.03)  # shares
BEFORE, AFTER = 0.01, 0.05  # shares of escapes before and after the change
LATER = 5_000  # parts after the change that are looked at


def main() -> None:
    """Draw the lives, write the figures, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lives", type=int, default=2_000, help="years that are drawn for each row")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    figures = {
        "lives": options.lives,
        "alpha": ALPHA,
        "false_alarms": [false_alarms(weekly, limit, options.lives, random) for weekly in CHECKS for limit in ACCEPTED],
        "detections": [detections(weekly, limit, options.lives, random) for weekly in CHECKS for limit in ACCEPTED],
    }
    write_figures(figures, options.json)
    print_tables(figures)


def false_alarms(weekly: int, limit: float, lives: int, random: np.random.Generator) -> dict:
    """Return the share of years with an alarm, while exactly the accepted share is defective."""
    alarms = sum(watch_escapes(random.random(WEEKS * weekly) < limit, limit).is_suspect for _ in range(lives))
    return {"weekly": weekly, "accepted": limit, "share": alarms / lives}


def detections(weekly: int, limit: float, lives: int, random: np.random.Generator) -> dict:
    """Return after how many checked parts a jump is noticed: the median and the ninth tenth."""
    earlier = WEEKS // 2 * weekly
    parts = []
    for _ in range(lives):
        hits = np.concatenate([random.random(earlier) < BEFORE, random.random(LATER) < AFTER])
        after = watch_escapes(hits, limit).alarm_after
        if after is None or after > earlier:  # an alarm before the jump is no detection
            parts.append(LATER if after is None else after - earlier)
    return {
        "weekly": weekly,
        "accepted": limit,
        "median": float(np.median(parts)),
        "ninth_tenth": float(np.quantile(parts, 0.9)),
        "lives": len(parts),
    }


def print_tables(figures: dict) -> None:
    """Print false alarms, and after how many parts a jump is noticed."""
    print(f"{figures['lives']:,} years of spot checks for each row, alpha {figures['alpha']:.0%}")
    print(f"{'checks a week':<16}{'accepted':>10}{'false alarms a year':>22}{'jump noticed after':>22}{'90 %':>8}")
    for alarms, found in zip(figures["false_alarms"], figures["detections"], strict=True):
        print(
            f"{alarms['weekly']:<16}{alarms['accepted']:>10.0%}{alarms['share']:>22.2%}{found['median']:>22.0f}{found['ninth_tenth']:>8.0f}"
        )


if __name__ == "__main__":
    main()
