"""Answers of people, for tests."""

from tasks.records.rows import LabelRow

SHA = "ab" * 32


def answer(number: int, sha256: str = SHA, label: str = "good", **values: object) -> LabelRow:
    row = LabelRow(
        decision=f"{number:032x}", sha256=sha256, label=label, kind="", person="Ada", time="2026-12-01T07:00:00+00:00",
        queue="review", model_version="3", model_answer="review", seconds=2.5, comment="", origin="line-3",
    )  # fmt: skip
    return row._replace(**values)
