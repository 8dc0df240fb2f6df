"""Predict: what the model in use says of photographs of parts.

python flows/predict.py IMAGE|FOLDER ... [--save FOLDER] [--json] [--csv FILE] [--version N | --run latest|ID | --file MODEL]
"""

import os
import sys
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder
import tasks  # noqa: F401, I001  before TensorFlow, which reads its defaults when it is imported

from pydantic import Field
from pydantic_settings import CliPositionalArg

from tasks.images.decoding import SUFFIXES
from tasks.inference import model_folder
from tasks.inference.heat_pictures import HeatPainter, write_picture
from tasks.inference.predictor import Answer, Predictor
from tasks.inference.runtimes import NAMES
from tasks.pipeline.last_run import model_of, no_champion_message, read_run, resolve_model
from tasks.records.rows import DecisionName
from tasks.reporting.markdown import counts
from tasks.settings.cli import Arguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.escaping import for_terminal
from tasks.settings.messages import say, say_json, warn
from tasks.settings.settings import Places
from tasks.settings.terminal import progress_bar
from tasks.sources.folder import is_image, left_out, look_through, shorten
from tasks.sources.names import casefold_name
from tasks.sources.stamps import Stamp, StampPattern, add_camera_time, path_stamps
from tasks.storage.tables import write_rows
from tasks.tracking import registry

NEARLY = 0.001  # shares nearer to 0 or 1 are shown as below or above it


class PredictArguments(Arguments):
    """Judge photographs of parts with a released model."""

    images: CliPositionalArg[tuple[str, ...]] = Field(min_length=1, description="Image files, and folders of them.")
    version: int | None = Field(None, ge=1, description="Version to judge with; the champion when nothing is named.")
    run: str | None = Field(None, description="Run whose model judges: its id, or `latest`.")
    file: Path | None = Field(None, description="Model to judge with: its folder, or the model.keras in it.")
    as_json: bool = Field(False, description="One JSON array on standard output, an object an image.")
    csv: Path | None = Field(None, description="File for the answers as a table, a row an image, written whole.")
    save: Path | None = Field(
        None, description="Folder for heat maps: of each image that does not pass, where the model sees a defect."
    )
    stamp: StampPattern | None = Field(
        None,
        description="Regular expression on the path with the groups station, part or time, for the table: (?P<station>[^/]+)/.*",
    )
    places: Places = Places()


def choose_model(arguments: PredictArguments) -> tuple[Predictor, str]:
    """Return the model that the arguments name, by default the champion, and what people call it."""
    if sum(option is not None for option in (arguments.version, arguments.run, arguments.file)) > 1:
        raise BadInput("--version, --run and --file each name a model: give one of them")
    if arguments.file or arguments.run:
        predictor = (
            Predictor(folder_of(arguments.file))
            if arguments.file
            else predictor_of_run(arguments.run or "", arguments.places)
        )
        return predictor, predictor.name
    places = resolve_model(arguments.places)
    version = registry.version(arguments.version, places) if arguments.version else registry.champion(places)
    if version is None:
        raise BadInput(f"{no_champion_message(places)}, or name one by --run latest or --file")
    predictor = Predictor(model_folder.ensure_local(version, places), version.number)
    return predictor, f"{predictor.name}, of {places.registered_name}"


def folder_of(file: Path) -> Path:
    """Return the model's folder. Raises BadInput where there is nothing, and for a file in it that cannot judge by itself."""
    if not file.exists():
        raise BadInput(f"there is no model {str(file)!r}: give its folder, or the model.keras in it")
    if file.is_dir():
        return file
    if file.name != NAMES["keras"]:
        raise BadInput(f"{str(file)!r} does not judge by itself: give its folder, or the {NAMES['keras']} in it")
    return file.parent


def predictor_of_run(run: str, places: Places) -> Predictor:
    """Return the model that a run made. Raises BadInput where there is no such run.

    Read it from its folder. Where that is gone, read it from the registry, if the model became a version.
    """
    path = places.runs / run / "run.json"
    if not path.is_file():
        raise BadInput(f"there is no run {run!r} in {path.parents[1]}: give a folder's name there, or `latest`")
    folder = model_folder.path(model_of(path.parent), places)
    if folder.is_dir():
        return Predictor(folder)  # without the registry: asking it takes seconds
    places = places.with_model(read_run(path.parent).model)
    released = next((version for version in registry.versions(places) if version.model == folder.name), None)
    return Predictor(model_folder.ensure_local(released, places), released.number) if released else Predictor(folder)


def images_of(arguments: Iterable[str]) -> tuple[list[tuple[str, Path]], list[str]]:
    """Return (name, path) of each image, and a line for each thing that is left out.

    A name is the argument as given, joined with the path below it.
    """
    images, lines = list[tuple[str, Path]](), list[str]()
    for argument in arguments:
        path = Path(argument)
        if os.path.isdir(path):
            names, faults = look_through(path)
            images += [(os.path.join(argument, name), path / name) for name in names if is_image(name)]
            lines += [*faults, *left_out(names)]
        elif is_missing(path):
            raise BadInput(f"there is no image or folder {argument!r}")
        elif os.path.exists(path) and not os.path.isfile(path):
            lines.append(f"{argument} is neither a file nor a folder")  # to read a pipe might never end
        else:
            images.append((argument, path))
    return images, [f"left out: {line}" for line in shorten(lines)]


def is_missing(path: Path) -> bool:
    """Return whether nothing lies at the path.

    A path that may not be looked at is not missing: its answer gives the reason.
    """
    try:
        path.stat()
    except OSError as error:
        return not isinstance(error, PermissionError)
    return False


def line(answer: Answer, is_score: bool = False, picture: Path | None = None) -> str:
    """Return the answer as one line, the decision first: `REJECT part.jpeg: defect 98 %, see part.heat.png`.

    A review has its reason. `is_score` says that the model gives anomaly scores and no probabilities; `picture` is its heat map.
    """
    chance = answer.defect_probability
    number = [] if chance is None else [f"anomaly score {chance:.2f}" if is_score else f"defect {percent(chance)}"]
    reason = [answer.reason] if answer.decision == "review" else []
    seen = [f"see {for_terminal(str(picture))}"] if picture else []
    return f"{answer.decision.upper()} {answer.path}: {', '.join([*number, *reason, *seen])}"


def percent(share: float) -> str:
    """Return a share in percent. What is nearly 0 or 1 is never shown as 0 or 100 %."""
    if share < NEARLY:
        return f"below {100 * NEARLY:.1f} %"
    if share > 1 - NEARLY:
        return f"above {100 * (1 - NEARLY):.1f} %"
    digits = 0 if 0.1 <= share <= 0.9 else 1
    return f"{100 * share:.{digits}f} %"


def save_heat_maps(
    predictor: Predictor, images: Sequence[tuple[str, Path]], answers: Sequence[Answer], folder: Path
) -> dict[str, Path]:
    """Write a picture of each image that does not pass, with the heat map over it, and return its path by the image's name.

    An image in which the model sees no part has none.
    """
    painter, pictures, taken = HeatPainter(predictor), dict[str, Path](), set[str]()
    for (name, path), answer in zip(images, answers, strict=True):
        if answer.decision != "pass":
            picture = picture_name(name, taken)
            with suppress(BadInput):
                pictures[name] = write_picture(painter, path, folder / picture)
                taken.add(casefold_name(picture))
    return pictures


def picture_name(name: str, taken: Container[str]) -> str:
    """Return the name of an image's heat map, which no other picture has.

    `taken` are the names of the others by `casefold_name`, so that none replaces another where a disk ignores case.
    """
    stem = os.path.splitext(os.path.basename(name))[0]
    names = chain([f"{stem}.heat.png"], (f"{stem}-{number}.heat.png" for number in count(2)))
    return next(picture for picture in names if casefold_name(picture) not in taken)


def require_folder(folder: Path) -> None:
    """Raise BadInput unless `folder` is, or becomes, a folder that can be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        is_writable = False
    if not is_writable:
        raise BadInput(f"--save {folder} cannot be used: give a folder that can be written to")


def write_table(
    path: Path, images: Sequence[tuple[str, Path]], answers: Sequence[Answer], stamps: Sequence[Stamp]
) -> None:
    """Write the answers as a table, with station, part and time where the paths (`stamps`) or the cameras tell."""
    rows = [
        answer.model_dump() | add_camera_time(stamp, image)._asdict()
        for (_, image), answer, stamp in zip(images, answers, stamps, strict=True)
    ]
    write_rows(path, rows, (*Answer.model_fields, *Stamp._fields))


def main() -> None:
    """Judge the images that the command line names, and print or store the answers."""
    arguments = parse(PredictArguments, sys.argv[1:])
    images, lines = images_of(arguments.images)
    if not images:
        searched = "; ".join([", ".join(arguments.images), *lines])
        raise BadInput(f"no image lies in {searched}: {SUFFIXES} files are judged")
    if arguments.save:
        require_folder(arguments.save)
    stamps = path_stamps([name for name, _ in images], arguments.stamp)  # before the model judges, which takes longer
    (predictor, name), answers = choose_model(arguments), []
    warn(f"judged by {name}")
    with progress_bar("judging", len(images)) as advance:
        for answer in predictor.judge(images):
            answers.append(answer)
            advance("")
    pictures = save_heat_maps(predictor, images, answers, arguments.save) if arguments.save else {}
    if arguments.csv:
        write_table(arguments.csv, images, answers, stamps)
    if arguments.as_json:
        say_json([answer.model_dump() for answer in answers])
        warn(*lines)
        return
    if len(answers) > 1:
        decisions = Counter(answer.decision for answer in answers)
        say(f"{len(answers):,} images: {counts({name: decisions[name] for name in get_args(DecisionName)})}")
    is_score = predictor.rule.normal is not None
    say(
        *(line(answer, is_score, pictures.get(name)) for (name, _), answer in zip(images, answers, strict=True)), *lines
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
