"""Fixtures: two places in a temporary folder, small photographs, models, a registry, and a Prefect server."""

import hashlib
import io
import json
import os
import pickle
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from PIL import Image

# Before `tasks` is imported: the tests' servers have a password of their own, and so have the processes that tests start.
os.environ["RECAST_AUTH_FILE"] = str(Path(__file__).parents[1] / ".pytest_cache/recast-auth")

import tasks  # noqa: F401  sets the defaults that Prefect and TensorFlow read when they are imported
from tasks.evaluation import promotion_rules
from tasks.images.decoding import BY_SUFFIX
from tasks.inference import model_folder
from tasks.inference.decision import DecisionRule
from tasks.records.results import (
    Audit,
    BaselineComparison,
    ClassFolders,
    Corrections,
    Epoch,
    Evaluation,
    Exports,
    Figure,
    Figures,
    Format,
    ImageFolder,
    Manifest,
    Model,
    PairedParts,
    PartNames,
    RankedParts,
    Release,
    Score,
    Splits,
)
from tasks.records.rows import Row, stored_path
from tasks.records.run import CodeState
from tasks.reporting.run_json import RunResult
from tasks.settings.settings import Classes, ClassSettings, Config, FetchSettings, Places, SplitSettings
from tasks.settings.settings import EvaluationSettings as Judging
from tasks.settings.settings import TrainingSettings as TrainingSettings
from tasks.storage.files import scratch_beside, store
from tasks.storage.parallel import count_processors
from tasks.storage.tables import store_table
from tasks.tracking import connection, mlflow_location, registry, runs

# `--hypothesis-profile=long` is for `make test-all`. Each time the same cases, however slow the machine.
for name, examples in (("short", 50), ("long", 1_000)):
    settings.register_profile(name, max_examples=examples, deadline=None, derandomize=True, database=None)
settings.load_profile("short")

pytest_plugins = ["marks", "guard"]
T = TypeVar("T")


FIRST = ("test_real", "test_loop", "test_kills", "test_story")


@pytest.hookimpl(trylast=True)  # when the tests that will not run are out, or the parts would be others
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the tests of minutes, so that no process is left with one when the others have ended.

    Each process gets a part of the list, one after the other, and takes from the others when it has none left.
    """
    parts = getattr(config, "workerinput", {}).get("workercount", 1)
    first, rest = ([item for item in items if (item.path.stem in FIRST) == wanted] for wanted in (True, False))
    cuts = [len(rest) * part // parts for part in range(parts + 1)]
    items[:] = [item for part in range(parts) for item in (*first[part::parts], *rest[cuts[part] : cuts[part + 1]])]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores: of the long tests one always waits, for a server or for what another makes."""
    return count_processors() + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids: list[str]) -> None:
    """Say how many tests will run: with `-q`, pytest-xdist does not."""
    if node.gateway.id == "gw0":
        node.config.get_terminal_writer().line(f"{len(ids):,} tests will run.")


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Let a test load TensorFlow and Keras."""


@pytest.fixture(scope="session")
def mlflow() -> None:
    """Let a test load MLflow."""


@pytest.fixture(scope="session")
def server() -> None:
    """Let a test open a port."""


@pytest.fixture(scope="session")
def process() -> None:
    """Let a test start processes."""


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], T]], T]:
    """Call `make` with a new folder once a test run, in the first of its processes that asks; the others get the result by pickle."""
    top = tmp_path_factory.getbasetemp()
    top = top.parent if "PYTEST_XDIST_WORKER" in os.environ else top

    def result(name: str, make: Callable[[Path], T]) -> T:
        folder, made = top / f"once-{name}", top / f"once-{name}.pickle"
        with FileLock(top / f"once-{name}.lock"):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed here
                folder.mkdir()
                made.write_bytes(pickle.dumps(make(folder)))
        return pickle.loads(made.read_bytes())

    return result


@pytest.fixture
def squares() -> np.ndarray:
    """Ten small images, all other than each other."""
    return np.arange(10 * 4 * 4, dtype=np.uint8).reshape(10, 4, 4, 1)


@pytest.fixture
def strips() -> np.ndarray:
    """Strips whose columns all differ."""
    return np.random.default_rng(0).integers(0, 256, (6, 12, 24, 2), np.uint8)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(data=tmp_path / "data", artifacts=tmp_path / "artifacts")


def copy_places(made: Places, places: Places) -> None:
    """Puts all that a fixture of a module made into a test's own places, which it may spoil."""
    for there, here in ((made.data, places.data), (made.artifacts, places.artifacts)):
        if there.exists():
            shutil.copytree(there, here, dirs_exist_ok=True, symlinks=True)


@pytest.fixture(scope="session")
def photograph() -> Callable[..., bytes]:
    """Makes the bytes of a small grey photograph, another for every seed; `hole` darkens a spot, as a defect does."""

    def make(
        seed: int = 0, *, size: tuple[int, int] = (48, 48), form: str = "JPEG", mode: str = "L", hole: bool = False
    ) -> bytes:
        generator = np.random.default_rng(seed)
        grey = generator.normal(140, 30, (size[1] // 4, size[0] // 4)).clip(0, 255).astype(np.uint8)
        picture = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)).copy()
        if hole:
            y, x = (int(generator.integers(length // 4, length // 2)) for length in (size[1], size[0]))
            picture[y : y + size[1] // 4, x : x + size[0] // 4] = 10
        file = io.BytesIO()
        Image.fromarray(picture).convert(mode).save(file, format=form, **({"quality": 90} if form == "JPEG" else {}))
        return file.getvalue()

    return make


@pytest.fixture
def dataset(tmp_path: Path, photograph: Callable[..., bytes]) -> Callable[..., Path]:
    """Writes a folder of photographs, `{"train": 12, "test": 6}` of each class, or without splits `{"": 12}`; holes are defects."""
    return partial(write_dataset, tmp_path, photograph)


def write_dataset(
    top: Path,
    photograph: Callable[..., bytes],
    counts: dict[str, int],
    *,
    defect: str = "def_front",
    good: str = "ok_front",
    suffix: str = ".jpeg",
    first_seed: int = 0,
    name: str = "castings",
    **drawn: object,
) -> Path:
    seed = first_seed
    for split, count in counts.items():
        for label in (defect, good):
            folder = top / name / split / label
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                content = photograph(seed, form=BY_SUFFIX[suffix.lower()].name, hole=label == defect, **drawn)
                (folder / f"cast_{number}{suffix}").write_bytes(content)
                seed += 1
    return top / name


@pytest.fixture
def store_images(places: Places) -> Callable[..., list[Row]]:
    """Puts contents of pictures of `side` pixels on the shelf and gives their rows."""

    def put(*contents: bytes, side: int = 300) -> list[Row]:
        rows = []
        for number, content in enumerate(contents):
            sha256 = hashlib.sha256(content).hexdigest()
            row = Row(f"{number}.jpeg", sha256, "ok_front", "base", "train", side, side, 120.0, 110.0, 9.0)
            stored_path(row, places).parent.mkdir(parents=True, exist_ok=True)
            stored_path(row, places).write_bytes(content)
            rows.append(row)
        return rows

    return put


@pytest.fixture
def extract_source(places: Places) -> Callable[..., ImageFolder]:
    """Fetches a folder or a zip and extracts it, as a run does before it looks at an image."""
    from tasks.extract import extract
    from tasks.fetch import fetch
    from tasks.sources.locate import locate

    def run(source: Path, classes: ClassSettings = ClassSettings()) -> ImageFolder:
        located = locate(FetchSettings(source=str(source), classes=classes), places)
        return extract.fn(fetch.fn(located, places), classes, places)

    return run


@pytest.fixture
def model(places: Places) -> Model:
    """A record of a training that never was; its file holds no network."""
    return make_model(places)


def make_model(places: Places) -> Model:
    return Model(
        file=store(lambda path: path.write_bytes(b"weights"), places, "data", "networks/compact.keras"),
        name="compact",
        parameters=28_465,
        weights_sha256="ab" * 32,
        view="raw",
        image_size=75,
        summary="Model: <compact>",
        history=tuple(
            Epoch(epoch=number, loss=0.5, accuracy=0.7, validation_loss=0.6, validation_accuracy=0.65)
            for number in (1, 2, 3)
        ),
        kept_epoch=2,
        images=48,
        wall_seconds=2.5,
        cpu_seconds=4.25,
        images_per_second=57.6,
        device="CPU",
    )


@pytest.fixture
def evaluation(places: Places, model: Model) -> Evaluation:
    """Ten test images of each class, of the source and of one arrival; one defect is missed and two good parts are refused."""
    return make_evaluation(places, model)


def make_evaluation(places: Places, model: Model) -> Evaluation:
    from tasks.evaluation import metrics  # late, with SciPy: most tests need neither
    from tasks.records.rows import Prediction

    chances = {"def_front": [0.1, *[0.9] * 9], "ok_front": [0.8, 0.7, *[0.2] * 8]}
    rule = DecisionRule(classes=Classes(), model="compact", network_sha256=model.file.sha256, view="raw", image_size=75)
    predictions = [
        Prediction(
            f"{split}/{label}/{number}.jpeg",
            "cd" * 32,
            split,
            origin,
            label,
            "",
            chance,
            decision.name,
            decision.reason,
            decision.cause,
        )  # fmt: skip
        for split in ("validation", "test")
        for label in chances
        for number, (origin, chance) in enumerate(zip(["base", "line 2"] * 5, chances[label], strict=True))
        for decision in [rule.decide_by_probability(chance)]
    ]

    def score(split: str, *origins: str) -> Score:
        chosen = [one for one in predictions if one.split == split and one.origin in origins]
        return metrics.score(chosen, Classes(), Judging())

    return Evaluation(
        predictions=store_table("predictions", predictions, Prediction, places),
        decision=store(lambda path: path.write_text(rule.model_dump_json()), places, "data", "decisions/decision.json"),
        test=score("test", "base", "line 2"),
        validation=score("validation", "base", "line 2"),
        slices={origin: score("test", origin) for origin in ("base", "line 2")},
        threshold=rule.threshold,
        temperature=rule.temperature,
        review_causes={},
        baselines=BaselineComparison(
            evidence="test",
            parts=24,
            defective_parts=12,
            good_parts=12,
            majority=RankedParts(p=0.001, cost=0.1, constant_cost=0.2),
            lookup=PairedParts(better=8, worse=0, p=0.0039),
            shortcuts=PairedParts(better=9, worse=1, p=0.011),
        ),
    )


@pytest.fixture(scope="session")
def empty_registry(mlflow, once) -> Path:
    """MLflow's database before anything is in it; making one takes seconds, copying it none."""

    def make(top: Path) -> Path:
        places = Places(artifacts=top)
        connection.client(places).search_experiments()
        return mlflow_location.path_of(places)

    return once("registry", make)


@pytest.fixture
def registered(places: Places, empty_registry: Path) -> Places:
    """The places, with a registry in which nothing is."""
    places.artifacts.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(empty_registry, mlflow_location.path_of(places))
    return places


def write_model_folder(text: str, places: Places) -> Path:
    """The folder of a model that is no network; another text is another model."""
    with scratch_beside(model_folder.path("model", places)) as scratch:
        scratch.mkdir()
        for name in ("model.keras", "model.tflite", "decision.json"):
            (scratch / name).write_text(text)
        return model_folder.path(model_folder.store(scratch, {}, places).digest, places)


def put_into_use(folder: Path, places: Places, run_id: str = "first-run") -> registry.Version:
    before = registry.champion(places)
    number = before.number if before else None
    mlflow_run_id = runs.begin(f"what of {folder.name}", run_id, places)
    made = registry.register(folder, "compact", mlflow_run_id, run_id, "it is good", number, places)
    registry.promote(made.number, number, places)
    return registry.version(made.number, places)


class Touch:
    """Make a file when unpickled, as hostile code would do worse."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def run_folder(places: Places, name: str, source: str, model: str, product: str | None = None) -> Path:
    """Return the folder of a run, now the latest, as far as it tells what was run."""
    folder = places.artifacts / "runs" / name
    folder.mkdir(parents=True)
    fetch = FetchSettings(source=source, product=product)
    settings = Config(fetch=fetch, places=places.with_model(model)).model_dump(mode="json")
    (folder / "run.json").write_text(json.dumps({"config": settings}))
    latest = folder.with_name("latest")
    latest.unlink(missing_ok=True)
    latest.symlink_to(name)
    return folder


class Training(NamedTuple):
    """A small training that the tests of a run share and never change: its places, and the records of its steps."""

    places: Places
    folder: ImageFolder
    manifest: Manifest
    audit: Audit
    splits: Splits
    model: Model

    @property
    def records(self) -> tuple[Manifest, Audit, Splits, Model]:
        return self.manifest, self.audit, self.splits, self.model


@pytest.fixture(scope="session")
def training(tensorflow, once, photograph: Callable[..., bytes]) -> Training:
    """A `compact` of 32 pixels that tells the holes of `photograph`."""

    def make(top: Path) -> Training:
        from tasks.train import train

        places = Places(data=top / "data", artifacts=top / "artifacts")
        found = prepare(write_dataset(top, photograph, {"train": 24, "test": 8}), places)
        chosen = TrainingSettings(model="compact", epochs=20, image_size=32)
        return Training(places, *found, train.fn(found[-1], chosen.recipe(), places))

    return once("training", make)


@pytest.fixture(scope="session")
def exported_training(training, process, once) -> tuple:
    """(what `export` is given, exports, places) of the small training, never changed by a test."""

    def make(top: Path) -> tuple:
        from tasks.evaluate import evaluate
        from tasks.export import export
        from tasks.reporting.words import ProductWords

        places = Places(data=top / "data", artifacts=top / "artifacts")
        copy_places(training.places, places)
        settings = Judging(review_cost=0.9)  # few go to a person, so most are decided
        evaluation = evaluate.fn(training.splits, training.model, settings, None, places)
        judged = *training.records, evaluation, settings, ProductWords("casting", "castings")
        return judged, export.fn(*judged, places), places

    return once("exported", make)


@pytest.fixture(scope="session")
def untrained_exports(tensorflow, process, once, photograph: Callable[..., bytes]) -> tuple:
    """(exports of a small model, its table of predictions by sha256, folder of all); untrained, which answers as quickly."""
    return once("untrained", partial(export_untrained, photograph))


def export_untrained(photograph: Callable[..., bytes], top: Path) -> tuple:
    from tasks.evaluate import evaluate
    from tasks.export import export
    from tasks.networks import networks
    from tasks.records.rows import Prediction
    from tasks.reporting.words import ProductWords
    from tasks.storage.tables import read_table

    places = Places(data=top / "data", artifacts=top / "artifacts")
    _, *found = prepare(write_dataset(top, photograph, {"train": 24, "test": 8}), places)
    splits = found[-1]
    network = networks.build("compact", 75)
    model = Model(
        file=store(lambda path: networks.save(network, path), places, "data", "networks/compact.keras"),
        name="compact", parameters=network.count_params(),
        weights_sha256=networks.weights_digest(network), view="raw", image_size=75, summary="", history=(), kept_epoch=0, images=0,
        wall_seconds=0, cpu_seconds=0, images_per_second=0, device="CPU",
    )  # fmt: skip
    evaluation = evaluate.fn(splits, model, Judging(), None, places)
    exports = export.fn(*found, model, evaluation, Judging(), ProductWords("casting", "castings"), places)
    return exports, {one.sha256: one for one in read_table(evaluation.predictions.path(places), Prediction)}, top


@pytest.fixture
def released(untrained_exports: tuple, registered: Places, places: Places, tmp_path: Path) -> tuple:
    """(exports, predictions by sha256) of the model in use as version 1."""
    exports, judged, top = untrained_exports
    copy_places(Places(data=top / "data", artifacts=top / "artifacts"), places)
    shutil.copytree(top / "castings", tmp_path / "castings")
    put_into_use(model_folder.path(exports.digest, places), places)
    return exports, judged


def write_untrained_model(model: Model, evaluation: Evaluation, places: Places) -> Exports:
    """The folder of a model that was never trained; its LiteRT file says so."""
    with scratch_beside(model_folder.path("model", places)) as scratch:
        scratch.mkdir()
        parts = {"model.keras": model.file, "decision.json": evaluation.decision, "images.csv": model.learnt}
        for name, file in parts.items():
            if file:
                shutil.copyfile(file.path(places), scratch / name)
        (scratch / "model.tflite").write_bytes(b"no network")
        told = Format(bytes=10, images=20, max_difference=1e-7, changed_decisions=0, milliseconds=0.5)
        return model_folder.store(scratch, {"litert": told}, places)


@pytest.fixture
def outcome(finished: RunResult, tmp_path: Path) -> RunResult:
    """A finished run whose report is still to be written, to artifacts of its own."""
    places = Places(data=finished.config.places.data, artifacts=tmp_path / "artifacts")
    return replace(finished, config=finished.config.model_copy(update={"places": places}))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, photograph: Callable[..., bytes]) -> RunResult:
    """A run that did all but train, judge and draw: one copy across the split, one damaged file, one arrival."""
    from tasks.audit import audit
    from tasks.extract import extract
    from tasks.fetch import fetch
    from tasks.inbox.arrivals import find_arrivals
    from tasks.release import Candidate
    from tasks.sources.locate import locate
    from tasks.split import split
    from tasks.validate import validate

    top = tmp_path_factory.mktemp("finished")
    places = Places(data=top / "data", artifacts=top / "artifacts")
    model = make_model(places)
    evaluation = make_evaluation(places, model)
    folder = write_dataset(top, photograph, {"train": 24, "test": 6})
    (folder / "train/ok_front/copy.jpeg").write_bytes((folder / "test/ok_front/cast_0.jpeg").read_bytes())
    (folder / "train/ok_front/broken.jpeg").write_bytes(photograph(999)[:-2])
    arrival = write_dataset(top, photograph, {"": 3}, name="line 2", first_seed=500)
    config = Config(
        fetch=FetchSettings(source=str(folder), arrivals=(arrival,), settle_seconds=0),
        splitting=SplitSettings(validation_fraction=0.4),
        places=places,
    )
    source, arriving = locate(config.fetch, places), find_arrivals(config.fetch, ClassFolders(), places)
    archive = fetch.fn(source, places)
    images = extract.fn(archive, ClassSettings(), places)
    manifest = validate.fn(images, arriving, Corrections(), config.validation, places)
    audited = audit.fn(manifest, PartNames(), config.audit, places)
    splits = split.fn(manifest, audited, config.splitting, config.view, config.training.good_alone, places)
    picture = store(lambda path: path.write_bytes(photograph(form="PNG")), places, "data", "figures/figure.png")
    exports = write_untrained_model(model, evaluation, places)
    run_id = "20261122-161500-compact-1f3a"
    candidate = Candidate(splits, model, evaluation, exports, config.evaluation, config.acceptance, run_id, places)
    ruled = promotion_rules.decide(candidate.own_rules, None, splits.classes, config.evaluation, config.acceptance)
    return RunResult(
        run_id=run_id,
        started=datetime(2026, 11, 22, 16, 15, tzinfo=UTC),
        wall_seconds=12.345,
        config=config,
        times={"fetch": {"cached": True, "seconds": 0.01}, "train": {"cached": False, "seconds": 2.5}},
        out_of_fold=None,
        source=source,
        arrivals=arriving,
        archive=archive,
        folder=images,
        manifest=manifest,
        audit=audited,
        splits=splits,
        code=CodeState(commit="1f" * 20, changed=False),
        model=model,
        evaluation=evaluation,
        figures=Figures(
            figures=tuple(
                Figure(name=name, title=f"The {name}", caption="What it shows.", file=picture)
                for name in ("samples", "learning", "confusion", "mistakes")
            )
        ),
        exports=exports,
        release=Release(
            verdict="kept",
            cause=ruled.cause,
            reason=ruled.reason,
            version=None,
            champion_before=None,
            decided_in=run_id,
            rules=tuple(ruled.rules),
        ),
    )


@pytest.fixture(scope="session")
def migrated_database(once) -> Path:
    """The database of a Prefect server before anything is in it; making one takes 4 s of an idle machine, copying it none."""

    def make(top: Path) -> Path:
        from prefect.server.api.server import SubprocessASGIServer
        from prefect.settings import PREFECT_HOME, temporary_settings

        with temporary_settings({PREFECT_HOME: top / "home"}):
            started = SubprocessASGIServer(port=free_port())
            started.start(timeout=180)
            started.stop()
        with (
            closing(sqlite3.connect(top / "home/prefect.db")) as made,
            closing(sqlite3.connect(top / "prefect.db")) as copy,
        ):
            made.backup(copy)  # what lies in its log too
        return top / "prefect.db"

    return once("prefect", make)


@pytest.fixture
def prefect_home(migrated_database: Path, tmp_path: Path) -> Path:
    """A PREFECT_HOME of the test's own, with a migrated database, for a server that the test starts."""
    (tmp_path / "prefect").mkdir()
    shutil.copyfile(migrated_database, tmp_path / "prefect/prefect.db")
    return tmp_path / "prefect"


@pytest.fixture(scope="session")
def prefect_server(server, process, migrated_database, tmp_path_factory) -> Iterator[None]:
    """A real server on a new database, one for each process of the tests; starting it takes seconds, so nobody gets it unasked."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
    from prefect.testing import utilities

    from tasks.pipeline.server_access import authenticate

    authenticate()  # a test of credentials may have left settings that lack those of the environment, which the server asks for
    folder = tmp_path_factory.mktemp("prefect")
    shutil.copyfile(migrated_database, folder / "prefect-test.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utilities, "mkdtemp", lambda: str(folder))
        with (
            utilities.prefect_test_harness(server_startup_timeout=180),
            temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_TO_API_ENABLED: False}),
        ):
            yield


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until(reached: Callable[[], object], seconds: float, what: str, every: float = 0.5) -> None:
    """Waits until it is so, and looks every so many seconds; fails when that takes longer than it may."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"{what} took longer than {seconds} s"
        time.sleep(every)


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """Find the real data that a variable names; the test skips without it."""

    def found(variable: str) -> Path:
        if not os.environ.get(variable):
            pytest.skip(f"{variable} names no real data")
        return Path(os.environ[variable])

    return found


@pytest.fixture(scope="session")
def real_archive(real) -> Path:
    return real("RECAST_ARCHIVE")


@pytest.fixture(scope="session")
def real_tiles(real) -> Path:
    return real("RECAST_TILES")


@pytest.fixture(scope="session")
def real_kolektor(real) -> Path:
    return real("RECAST_KOLEKTOR")


@pytest.fixture(scope="session")
def real_arrivals(real) -> Path:
    return real("RECAST_ARRIVALS")


@pytest.fixture
def prepared(dataset: Callable[..., Path], places: Places) -> Callable[..., tuple]:
    """The records of the steps before `train`, made of small photographs: (folder, manifest, audit, splits)."""
    return lambda **counts: prepare(dataset(counts or {"train": 24, "test": 8}), places)


def prepare(source: Path, places: Places, good_alone: bool = False) -> tuple:
    from tasks.audit import audit
    from tasks.extract import extract
    from tasks.fetch import fetch
    from tasks.settings.settings import AuditSettings, FetchSettings, SplitSettings, ValidationSettings, ViewSettings
    from tasks.sources.locate import locate
    from tasks.split import split
    from tasks.validate import validate

    settings = FetchSettings(source=str(source))
    folder = extract.fn(fetch.fn(locate(settings, places), places), settings.classes, places)
    manifest = validate.fn(folder, (), Corrections(), ValidationSettings(), places)
    audited = audit.fn(manifest, PartNames(), AuditSettings(), places)
    return (
        folder,
        manifest,
        audited,
        split.fn(manifest, audited, SplitSettings(validation_fraction=0.3), ViewSettings(), good_alone, places),
    )


@pytest.fixture
def keras_cache(tensorflow: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Keras on a machine without a network."""
    from urllib.error import URLError

    from keras.src.backend import config

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    (folder := tmp_path / "keras").mkdir()
    monkeypatch.setenv("KERAS_HOME", str(folder))
    monkeypatch.setattr(config, "_KERAS_DIR", str(folder))  # Keras reads the variable when it is imported
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return folder


@pytest.fixture(scope="session")
def random_weights(tensorflow: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random weights as Keras writes and reads those of its backbone."""
    import keras

    file = tmp_path_factory.mktemp("weights") / "efficientnetv2-b0_notop.h5"
    keras.applications.EfficientNetV2B0(include_top=False, weights=None, input_shape=(32, 32, 3)).save(file)
    return file


@pytest.fixture
def imagenet_file(keras_cache: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights in Keras' cache, which Keras takes for those of ImageNet."""
    from keras.src.applications import efficientnet_v2

    digest = hashlib.md5(random_weights.read_bytes()).hexdigest()
    monkeypatch.setitem(efficientnet_v2.WEIGHTS_HASHES, "b0", ("", digest))
    (keras_cache / "models").mkdir()
    return Path(shutil.copy(random_weights, keras_cache / "models"))
