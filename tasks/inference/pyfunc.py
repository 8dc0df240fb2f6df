"""Served: a released model as MLflow's `pyfunc` calls it, for `mlflow models serve` and `mlflow.pyfunc.load_model`."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.inference.predictor import Predictor

if TYPE_CHECKING:
    from pandas import DataFrame


class PyfuncModel:
    """Judges photographs that come as bytes."""

    def __init__(self, folder: Path):
        self.predictor = Predictor(folder)

    def predict(self, table: "DataFrame", params: dict | None = None) -> "DataFrame":
        """A row an image, in order: label, defect_probability, decision and reason. `image` holds the bytes of JPEG or PNG files."""
        answers = self.predictor.judge_contents(list(table["image"]))
        told = [answer.model_dump(exclude={"path", "model_version"}) for answer in answers]
        return type(table)(told, index=table.index)


def _load_pyfunc(path: str) -> PyfuncModel:
    """The name that MLflow calls."""
    return PyfuncModel(next(one.parent for one in Path(path).rglob("decision.json")))
