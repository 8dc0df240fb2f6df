"""Approval: the versions that wait for a person, what speaks for and against them, and the answer."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.inference import model_folder
from tasks.inference.predictor import Predictor
from tasks.monitoring.shadow import StationComparison, compare_at_stations, rows_of_both
from tasks.pipeline.last_run import sections_of
from tasks.records.results import Rule
from tasks.records.rows import Prediction, Row, stored_path
from tasks.review.access import Refusal
from tasks.review.desk import Desk
from tasks.review.people import Throttle, may_approve
from tasks.settings.errors import BadInput
from tasks.settings.settings import EvaluationSettings, Places
from tasks.storage.tables import read_table
from tasks.tracking import registry, runs

MOST_DIFFERENCES = 24  # pictures
KEPT = 8  # versions whose differences stay in memory


class PromotionCalls(NamedTuple):
    """How a version comes into use, is refused, and is taken back: the same functions as the command line has."""

    promote: Callable[[int, str, str, Places], str]
    """Takes the version's number, who says so, the reason and the places. Returns a sentence."""
    refuse: Callable[[int, str, str, Places], str]
    rollback: Callable[[str, str, Places], str]


class WaitingVersion(NamedTuple):
    """A version that waits for a person."""

    version: registry.Version
    rules: Sequence[Rule]
    has_report: bool
    stations: StationComparison | None
    """How it decided beside the model in use, at the stations; None where no model is in use, or nothing was judged by both."""


class Difference(NamedTuple):
    """A test photograph on which a version and the model in use decide differently."""

    sha256: str
    name: str
    label: str
    decision: str
    champion_decision: str


class Approvals:
    """The versions that wait, and the answers to them."""

    def __init__(self, desk: Desk, calls: PromotionCalls, throttle: Throttle):
        """Ask the registry of the desk's places, and answer by these calls."""
        self.desk, self.places, self.calls, self.throttle = desk, desk.places, calls, throttle
        self._lock = threading.Lock()
        self._differences: OrderedDict[tuple[str, str], list[Difference]] = OrderedDict()

    def champion(self) -> registry.Version | None:
        """Return the version in use; None where there is none."""
        return registry.champion(self.places)

    def waiting(self) -> list[WaitingVersion]:
        """Return the version that waits for an answer, in a list; none where none waits."""
        version = registry.by_alias(registry.CHALLENGER, self.places)
        if version is None or version.withdrawn:
            return []
        decision = runs.decision_of_run(version.tracked, self.places)
        rules = decision.rules if decision else ()
        return [WaitingVersion(version, rules, self._report_path(version).is_file(), self._at_stations(version))]

    def _at_stations(self, version: registry.Version) -> StationComparison | None:
        """Return how a waiting version decided about the photographs of stations, beside the model in use; None as above."""
        champion, product = self.champion(), self.desk.product
        if champion is None:
            return None
        judged = rows_of_both(champion, version, self.places)
        config = sections_of(product.run, "config").config or {}
        costs = EvaluationSettings.model_validate(config.get("evaluation") or {})
        return compare_at_stations(*judged, self.desk.log.rows(), product.classes, costs) if judged[0] else None

    def _version(self, number: int) -> registry.Version:
        """Return the version that waits under this number. Raises Refusal where another one waits, or none."""
        match = next((item.version for item in self.waiting() if item.version.number == number), None)
        if match is None:
            raise Refusal(404, "not_waiting", number=number)
        return match

    def _report_path(self, version: registry.Version) -> Path:
        """Return the path of the report of a version's run."""
        return self.places.runs / version.run_id / "report.html"

    def report(self, number: int) -> str:
        """Return the report of the run that made a waiting version, as HTML. Raises Refusal where it is gone."""
        try:
            return self._report_path(self._version(number)).read_text(encoding="utf-8")
        except OSError:
            raise Refusal(404, "no_report") from None

    def differences(self, number: int) -> list[Difference]:
        """Return the test photographs on which a waiting version and the model in use decide differently, at most 24.

        Judging them takes seconds, once. None where no model is in use, or where the run's files are gone.
        """
        version, champion = self._version(number), self.champion()
        if champion is None:
            return []
        key = version.model, champion.model
        with self._lock:
            if key not in self._differences:
                self._differences[key] = find_differences(version, champion, self.places)
                while len(self._differences) > KEPT:
                    self._differences.popitem(last=False)
            return self._differences[key]

    def decide(self, what: str, number: int, name: str, password: str, reason: str) -> str:
        """Put a waiting version into use, refuse it, or take back the one in use, and return a sentence that says so.

        Raises Refusal where the password is not that of a person who may approve, and BadInput as the command line does.
        """
        if seconds := self.throttle.start_try(name):
            raise Refusal(429, "wait", seconds=round(seconds) + 1)
        if not may_approve(name, password, self.places):
            raise Refusal(403, "wrong_password")
        self.throttle.end_waiting(name)
        if what == "rollback":
            champion = self.champion()
            if champion is None or champion.number != number:  # a form that was sent twice
                raise Refusal(404, "not_in_use", number=number)
            return self.calls.rollback(name, reason, self.places)
        call = self.calls.promote if what == "promote" else self.calls.refuse
        return call(self._version(number).number, name, reason, self.places)


def find_differences(version: registry.Version, champion: registry.Version, places: Places) -> list[Difference]:
    """Judge the test photographs of a version's run by the model in use, and return those that it decides differently."""
    run = places.runs / version.run_id
    try:
        rows = {row.sha256: row for row in read_table(run / "splits.csv", Row)}
        predictions = [row for row in read_table(run / "predictions.csv", Prediction) if row.split == "test"]
        judge = Predictor(model_folder.ensure_local(champion, places), champion.number)
    except (OSError, ValueError, BadInput):
        return []
    pairs = [(row, stored_path(rows[row.sha256], places)) for row in predictions if row.sha256 in rows]
    answers = judge.judge([(row.path, path) for row, path in pairs])
    differences = [
        Difference(row.sha256, row.path, row.label, row.decision, answer.decision)
        for (row, _), answer in zip(pairs, answers, strict=True)
        if row.decision != answer.decision
    ]
    return differences[:MOST_DIFFERENCES]
