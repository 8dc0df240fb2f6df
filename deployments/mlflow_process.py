"""MLflow process: run a command of MLflow's until it ends, and end it with the process that started it."""

import signal
import subprocess
import sys
from collections.abc import Mapping


def exit_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: without it, Python would leave folders and processes behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def run_mlflow(words: list[str], environment: Mapping[str, str]) -> None:
    """Run `mlflow WORDS` in this environment until it ends. Raises SystemExit with its status where that is not 0."""
    process = subprocess.Popen([sys.executable, "-m", "mlflow", *words], env=environment)
    try:
        if status := process.wait():
            raise SystemExit(status)
    finally:
        process.terminate()
        process.wait()
