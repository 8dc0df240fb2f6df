"""Command line: reads settings from arguments, and ends a command with an exit status that scripts can read.

Exit status 0: the work was done; 2: the input or the settings are wrong, and one line says how; 1: anything else.
"""

import io
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliApp, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from tasks.settings.errors import BadInput
from tasks.settings.machine_faults import machine_fault
from tasks.settings.messages import traceback_of, warn
from tasks.settings.settings import Config

SHORT = {
    "fetch.source": "source",
    "fetch.product": "product",
    "fetch.arrivals": "arrivals",
    "fetch.classes.defect": "defect",
    "fetch.classes.good": "good",
    "splitting.parts": "parts",
    "splitting.protocol": "protocol",
    "training.model": "model",
    "training.epochs": "epochs",
    "training.seed": "seed",
    "training.image_size": "image-size",
    "training.require_gpu": "require-gpu",
    "as_json": "json",
    "as_list": "list",
    "keep_runs": "keep-runs",
    "dry_run": "dry-run",
    "draw_study": "draw-study",
    "replace_study": "replace-study",
    "min_new_images": "min-new-images",
    "max_wait_days": "max-wait-days",
    "places.data": "data",
    "places.artifacts": "artifacts",
}
S = TypeVar("S", bound="Arguments")


class Arguments(BaseSettings):
    """Settings that come from the command line alone: no variable of the environment changes a run unseen."""

    model_config = SettingsConfigDict(
        cli_exit_on_error=False,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_shortcuts=SHORT,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the arguments as the only source."""
        return (init_settings,)


class RetrainArguments(Arguments, Config):  # type: ignore[misc]  # two kinds of model_config, which pydantic merges
    """Retrain, judge and release a classifier of defective and good parts."""


def parse(arguments: type[S], words: Sequence[str]) -> S:
    """Return the settings that the words of a command line give. For --help prints the help and exits.

    Raises BadInput, with one line, for the first fault.
    """
    try:
        return CliApp.run(arguments, cli_args=list(words))
    except SettingsError as error:
        raise BadInput(f"{str(error).removeprefix('error parsing CLI: ')}; --help shows what there is") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        where = SHORT.get(where, where)
        message = first["msg"].removeprefix("Value error, ")
        raise BadInput(
            message
            if first["type"] == "value_error"
            else f"--{where} {first['input']}: {message[0].lower()}{message[1:]}"
        ) from error


def exit_status(action: Callable[[], object]) -> int:
    """Run an action and return the exit status. Print one line on standard error for a fault that the user can mend."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # letters that the terminal lacks become escapes: no name ends a command
            stream.reconfigure(errors="backslashreplace")
    try:
        action()
    except BadInput as error:
        warn(f"error: {' '.join(str(error).split())}")
        return 2
    except ConnectionError as error:
        warn(f"error: {' '.join(str(error).split())}; try again later")
        return 1
    except KeyboardInterrupt:
        warn("interrupted; what was finished is kept")
        return 1
    except Exception as error:
        line = machine_fault(error)
        warn(*([f"error: {line}"] if line else traceback_of(error).splitlines()))
        return 1
    return 0
