"""How often does the escape alarm ring falsely in a year, and after how many checked parts does it find a jump? Simulated.

python benchmarks/escape_alarm.py --json escape_alarm.json

A line checks so many of its passes a week for a year. First the share of defective parts among them is at the limit, or half of it, all
the time: each alarm is false. A binomial test after each week, at the same level, stands beside it. Then, after half a year at 1 %, the
share jumps to 5 %, and the line is watched for another year.
"""

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np
from scipy import stats

from benchmarks.preparation import write_figures
from tasks.monitoring.escape_alarm import ALPHA, evidence

CHECKS = (20, 50, 100)  # a week
YEAR = 52  # weeks
LIMITS, SHARES_OF_LIMIT = (0.005, 0.01, 0.02, 0.05), (1.0, 0.5)
JUMP_LIMITS, BEFORE, AFTER = (0.01, 0.02, 0.03), 0.01, 0.05


def main() -> None:
    """Simulate each cell, print the two tables, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=2_000, help="simulated lines a cell")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    print("false alarms in a year\nlimit  checks/week   share  alarm  weekly binomial test")
    false_alarms, jumps = [], []
    for limit, checks, factor in itertools.product(LIMITS, CHECKS, SHARES_OF_LIMIT):
        cell = simulate_year(limit, limit * factor, checks, options.runs)
        false_alarms.append(cell)
        print(f"{limit:5.1%} {checks:12} {limit * factor:7.2%} {cell['alarm']:6.1%} {cell['weekly_test']:13.1%}")
    print(
        f"\n{BEFORE:.0%} for half a year, then {AFTER:.0%}\nlimit  checks/week  found  false  checks: median    90 %  weeks: median"
    )
    for limit, checks in itertools.product(JUMP_LIMITS, CHECKS):
        jump = simulate_jump(limit, checks, options.runs)
        jumps.append(jump)
        delays = [as_text(jump[name]) for name in ("median", "most", "weeks")]
        print(
            f"{limit:5.1%} {checks:12} {jump['found']:6.1%} {jump['false']:6.1%} {delays[0]:>15} {delays[1]:>7} {delays[2]:>14}"
        )
    print(f"false alarms in at most {max(cell['alarm'] for cell in false_alarms):.1%} of the lines of a cell")
    write_figures({"runs": options.runs, "alpha": ALPHA, "false_alarms": false_alarms, "jumps": jumps}, options.json)


def simulate_year(limit: float, share: float, checks: int, runs: int) -> dict[str, float]:
    """Return the shares of lines that the alarm, and a binomial test after each week, call bad within a year."""
    generator = np.random.default_rng([round(limit * 1e4), round(share * 1e5), checks])
    defective = generator.random((runs, YEAR * checks)) < share
    seen = np.arange(1, YEAR + 1) * checks
    found = defective.cumsum(axis=1)[:, checks - 1 :: checks]
    return {
        "limit": limit,
        "checks": checks,
        "share": share,
        "alarm": float(np.mean(evidence(defective, limit).max(axis=1) >= 1 / ALPHA)),
        "weekly_test": float(np.mean((stats.binom.sf(found - 1, seen, limit) <= ALPHA).any(axis=1))),
    }


def simulate_jump(limit: float, checks: int, runs: int) -> dict[str, float | None]:
    """Return how soon the alarm finds a jump after half a year, of the lines on which it was not raised before.

    `median` and `most`, the 90th percentile, count checked parts since the jump; None where fewer lines are found within the year.
    """
    generator = np.random.default_rng([round(limit * 1e4), checks])
    calm, bad = YEAR // 2 * checks, YEAR * checks
    shares = np.repeat([BEFORE, AFTER], [calm, bad])
    raised = evidence(generator.random((runs, calm + bad)) < shares, limit) >= 1 / ALPHA
    early = raised[:, :calm].any(axis=1)
    later = raised[~early, calm:]
    delays = np.where(later.any(axis=1), later.argmax(axis=1) + 1.0, np.inf)
    median, most = (finite(np.quantile(delays, level, method="higher")) for level in (0.5, 0.9))
    return {
        "limit": limit,
        "checks": checks,
        "found": float(np.mean(np.isfinite(delays))),
        "false": float(np.mean(early)),
        "median": median,
        "most": most,
        "weeks": None if median is None else median / checks,
    }


def finite(value: float) -> float | None:
    """Return the number; None for an infinite one."""
    return float(value) if np.isfinite(value) else None


def as_text(value: float | None) -> str:
    """Return the number for the table; a dash where there is none."""
    return "-" if value is None else f"{value:,.0f}"


if __name__ == "__main__":
    main()
