"""Places in which a run judged photographs of parts, from which an agreement study is drawn."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from conftest import run_folder

from tasks.inference import model_folder
from tasks.inference.decision import DecisionRule
from tasks.labeling.label_log import SECOND_LOOK
from tasks.records.rows import LabelName, LabelRow, Prediction, Refusal, Row, stored_path
from tasks.settings.settings import Classes, Places
from tasks.storage.tables import write_table

DIGEST = "ab" * 32
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class JudgedPhotograph(NamedTuple):
    """A photograph of the run."""

    part: str
    label: str
    chance: float
    decision: str
    number: int = 0

    @property
    def content(self) -> bytes:
        return f"{self.part} {self.number}".encode()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def path(self) -> str:
        return f"{self.label}/{self.part}_{self.number}.jpeg"


def clear_parts(number: int, photographs: int = 4) -> list[JudgedPhotograph]:
    """Return as many good as defective parts, about which the model is sure and right; later ones are nearer to the limits."""
    kinds = (("good", "ok_front", 0.001, 1, "pass"), ("bad", "def_front", 0.999, -1, "reject"))
    return [
        JudgedPhotograph(f"{name}{part:02}", label, chance + side * part * 1e-4, decision, photograph)
        for name, label, chance, side, decision in kinds
        for part in range(number // 2)
        for photograph in range(photographs)
    ]


def prediction_of(photograph: JudgedPhotograph, *, with_parts: bool = True, split: str = "test") -> Prediction:
    group = hashlib.sha256(photograph.part.encode()).hexdigest() if with_parts else ""
    return Prediction(
        photograph.path, photograph.sha256, split, "base", photograph.label, group, photograph.chance,
        photograph.decision, "", "below_limit",
    )  # fmt: skip


def write_run(photographs: list[JudgedPhotograph], places: Places, *, with_parts: bool = True) -> Path:
    """Write the files of a run that judged these photographs, and their bytes."""
    run = run_folder(places, "run-1", "elsewhere", "recast")
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(content | {"model": {"folder": DIGEST}}))
    rule = DecisionRule(
        classes=Classes(), model="compact", network_sha256=DIGEST, view="raw", image_size=75, review_band=(0.2, 0.8)
    )
    folder = model_folder.path(DIGEST, places)
    folder.mkdir(parents=True)
    (folder / "decision.json").write_text(rule.model_dump_json())
    predictions = [prediction_of(photograph, with_parts=with_parts) for photograph in photographs]
    rows = [
        Row(row.path, row.sha256, row.label, "base", "test", 48, 48, 120.0, 110.0, 9.0, row.group or row.sha256, "test")
        for row in predictions
    ]
    for row, photograph in zip(rows, photographs, strict=True):
        path = stored_path(row, places)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photograph.content)
    write_table(run / "splits.csv", rows, Row)
    write_table(run / "predictions.csv", predictions, Prediction)
    write_table(run / "quarantine.csv", [], Refusal)
    return run


def look(sha256: str, person: str, label: LabelName, days: float = 0.0, queue: str = SECOND_LOOK) -> LabelRow:
    """Return an answer that was given so many days after `LONG_AGO`."""
    decision = hashlib.md5(f"{sha256} {person} {label} {days} {queue}".encode()).hexdigest()
    time = (LONG_AGO + timedelta(days=days)).isoformat(timespec="seconds")
    return LabelRow(decision, sha256, label, "", person, time, queue, "", "pass", 1.0, "", "base")
