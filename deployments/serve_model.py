"""Serve model: answer for a version on a port of this machine, by `mlflow models serve`.

python deployments/serve_model.py [--version N] [--port 5001]

MLflow imports the code that a model brings along before that code could check anything. So this checks a copy, and MLflow gets the copy.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before MLflow, which reads its defaults when it is imported

from pydantic import Field

from deployments.mlflow_process import exit_on_sigterm, run_mlflow
from tasks.inference import model_folder
from tasks.pipeline.last_run import no_champion_message, resolve_model
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.messages import warn
from tasks.settings.settings import Places
from tasks.tracking import registry


class ServeArguments(Arguments):
    """Serve a released model by MLflow."""

    version: int | None = Field(None, ge=1, description="Version to serve; the champion when none is named.")
    port: int = Field(5001, ge=1, le=65535, description="Port of this machine.")
    places: Places = Places()


def main() -> None:
    """Serve a checked copy of the version. Raises BadInput where none is in use, or where its files have changed."""
    arguments = parse(ServeArguments, sys.argv[1:])
    places = resolve_model(arguments.places)
    version = registry.version(arguments.version, places) if arguments.version else registry.champion(places)
    if version is None:
        raise BadInput(no_champion_message(places))
    exit_on_sigterm()
    with TemporaryDirectory(prefix="recast-served-") as scratch:  # nobody else may write there
        model = Path(scratch, "model")
        model_folder.fetch_servable(version, model, places)
        warn(f"version {version.number}, {version.model[:12]}, on http://127.0.0.1:{arguments.port}")
        serve(model, arguments.port)


def serve(model: Path, port: int) -> None:
    """Run MLflow's server on the model in this folder until it ends."""
    words = ["-m", str(model), "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    # MLflow calls uvicorn by name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    run_mlflow(["models", "serve", *words], {**os.environ, "PATH": path})


if __name__ == "__main__":
    sys.exit(exit_status(main))
