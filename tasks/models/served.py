"""Served: a released model as MLflow's `pyfunc` calls it, for `mlflow models serve` and `mlflow.pyfunc.load_model`."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tasks.models.prediction import Predictor

if TYPE_CHECKING:
    from pandas import DataFrame

PNG = b"\x89PNG"  # what such a file begins with; any other is taken for JPEG, and goes to a person if it is none


class Served:
    """Judges photographs that come as bytes."""

    def __init__(self, folder: Path):
        self.predictor = Predictor(folder)

    def predict(self, table: "DataFrame", params: dict | None = None) -> "DataFrame":
        """A row an image, in order: label, defect_probability, decision and reason. `image` holds the bytes of JPEG or PNG files."""
        with TemporaryDirectory() as folder:
            files = []
            for number, content in enumerate(table["image"]):
                files.append(Path(folder) / f"{number}.{'png' if content.startswith(PNG) else 'jpeg'}")
                files[-1].write_bytes(content)
            answers = list(self.predictor.judge([(file.name, file) for file in files]))
        told = [one.model_dump(exclude={"path", "model_version"}) for one in answers]
        return type(table)(told, index=table.index)


def _load_pyfunc(path: str) -> Served:
    """The name that MLflow calls."""
    return Served(next(one.parent for one in Path(path).rglob("decision.json")))
