"""MLflow server: the pages of the embedded registry, for those who know the local password.

python deployments/mlflow_server.py [--port 5000]

Who may write to the registry decides which model is in use. tasks/pipeline/local_auth.py says where the password is.
"""

import os
import sys
import tempfile
from pathlib import Path
from secrets import token_hex

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before MLflow, which reads its defaults when it is imported

from pydantic import Field

from deployments.mlflow_process import exit_on_sigterm, run_mlflow
from tasks.pipeline.last_run import resolve_model
from tasks.pipeline.local_auth import auth_file, local_auth
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.messages import say, warn
from tasks.settings.settings import Places
from tasks.tracking import registry
from tasks.tracking import connection

LEAST = 12  # characters of a password, as MLflow wants it
CONFIG = """\
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{users}
auth_cache_ttl_seconds = 3600
"""


class PagesArguments(Arguments):
    """Show the registry by MLflow's own pages."""

    port: int = Field(5000, ge=1, le=65535, description="Port of this machine.")
    places: Places = Places()


def serve() -> None:
    """Serve until Ctrl-C. Raises BadInput for a registry that is lost or broken, which MLflow would make anew."""
    arguments = parse(PagesArguments, sys.argv[1:])
    if (address := connection.server()) and address.startswith("http"):
        raise BadInput("MLFLOW_TRACKING_URI names a server, which has pages of its own: open its address in a browser")
    connection.prepare(arguments.places)
    if notice := registry.missing_champion_message(resolve_model(arguments.places)):
        warn(notice)
    say(f"http://127.0.0.1:{arguments.port} asks for the name and password in {auth_file()}")
    sys.stdout.flush()  # before what the server prints
    exit_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="recast-") as folder:
        words = f"server --app-name basic-auth --host 127.0.0.1 --port {arguments.port} --workers 1".split()
        environment = os.environ | protected_environment(
            connection.address(arguments.places), arguments.port, Path(folder)
        )
        run_mlflow(words, environment)


def protected_environment(registry: str, port: int, folder: Path) -> dict[str, str]:
    """Return the environment of a server that knows one user and asks again after each start. No secret is in an argument.

    Raises BadInput for a password that MLflow would not take.
    """
    name, _, password = local_auth().partition(":")
    if len(password) < LEAST:
        raise BadInput(
            f"the password in {auth_file()} has {len(password)} characters, and MLflow takes {LEAST} or more: "
            "write a longer one, or delete the file, and a new one is made"
        )
    config = folder / "auth.ini"
    config.write_text(CONFIG.format(users=folder / "users.db"))
    own = [f"{host}:{port}" for host in ("127.0.0.1", "localhost")]
    return {
        "MLFLOW_BACKEND_STORE_URI": registry,
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_USERNAME": name,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": token_hex(),
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(own),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}" for host in own),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


if __name__ == "__main__":
    sys.exit(exit_status(serve))
