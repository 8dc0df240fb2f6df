"""Pyfunc: a released model as MLflow's `pyfunc` calls it, for `mlflow models serve` and `mlflow.pyfunc.load_model`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.inference.predictor import Predictor

if TYPE_CHECKING:
    from pandas import DataFrame


class PyfuncModel:
    """A released model that judges photographs that come as bytes."""

    def __init__(self, folder: Path):
        self.predictor = Predictor(folder)

    def predict(self, table: "DataFrame", params: dict[str, Any] | None = None) -> "DataFrame":
        """Return a row for each image, in order: sha256, label, defect_probability, decision, reason and cause.

        The column `image` of `table` holds the bytes of files in formats that are read.
        """
        answers = self.predictor.judge_contents(list(table["image"]))
        rows = [answer.model_dump(exclude={"path", "model_version"}) for answer in answers]
        return type(table)(rows, index=table.index)


def _load_pyfunc(path: str) -> PyfuncModel:
    """Load the model of a folder. MLflow calls this function by its name."""
    return PyfuncModel(next(file.parent for file in Path(path).rglob("decision.json")))
