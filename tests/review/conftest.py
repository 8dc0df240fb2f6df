"""Fixtures of the review page: places with a run that knew some images, photographs that wait, and the page itself."""

import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from conftest import free_port, put_into_use, run_folder, wait_until, write_model_folder
from PIL import Image
from starlette.testclient import TestClient

from tasks.inference.decision import DecisionRule
from tasks.labeling.queue_store import enqueue
from tasks.records.rows import Refusal, Row, stored_path
from tasks.review.approval import PromotionCalls
from tasks.review.desk import Desk
from tasks.review.page import create_app
from tasks.review.people import set_approver
from tasks.settings.settings import Classes, Places
from tasks.storage.tables import write_table
from tasks.tracking import registry, runs

SITE = "http://127.0.0.1:8700"
CLASSES = Classes(defect="crack", good="sound")


def draw(number: int, form: str = "PNG") -> bytes:
    """A photograph with a pattern of its own."""
    random = np.random.default_rng(number)
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 255, (48, 64, 3), np.uint8)).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture
def product(places: Places) -> list[Row]:
    """The four images that the last run knew, two of each class."""
    run = run_folder(places, "20261201-000000-ring-0001", "castings.zip", "recast")
    content = json.loads((run / "run.json").read_text())
    content["model"] = {
        "name": "ring",
        "folder": "model1",
        "parameters": 1,
        "sha256": "0",
        "weights_sha256": "0",
        "image_size": 75,
    }
    (run / "run.json").write_text(json.dumps(content))
    folder = places.models / "model1"
    folder.mkdir(parents=True)
    rule = DecisionRule(classes=CLASSES, model="ring", network_sha256="", view="raw", image_size=75)
    (folder / "decision.json").write_text(rule.model_dump_json())
    rows = []
    for number in range(4):
        drawn = draw(number)
        label = CLASSES.defect if number % 2 else CLASSES.good
        row = Row(
            f"{label}/{number}.png",
            hashlib.sha256(drawn).hexdigest(),
            label,
            "base",
            "",
            64,
            48,
            1.0,
            1.0,
            1.0,
            kind=label,
        )
        stored_path(row, places).parent.mkdir(parents=True, exist_ok=True)
        stored_path(row, places).write_bytes(drawn)
        rows.append(row)
    write_table(run / "splits.csv", rows, Row)
    write_table(run / "quarantine.csv", [], Refusal)
    return rows


@pytest.fixture
def queued(product, places, tmp_path) -> Callable[..., list[str]]:
    """Puts photographs of a station into a queue, and returns their digests."""

    def put(*numbers: int, queue: str = "review", origin: str = "station-3", **values: object) -> list[str]:
        station = tmp_path / "station"
        station.mkdir(exist_ok=True)
        rows = []
        for number in numbers:
            (station / f"{number}.png").write_bytes(draw(number))
            rows.append({
                "path": f"{number}.png", "sha256": hashlib.sha256(draw(number)).hexdigest(), "decision": "review",
                "defect_probability": 0.4321, "reason": "the network is not sure", "cause": "between_limits", "model_version": 1,
                "judged": "2026-12-01T06:00:00+00:00",
            } | values)  # fmt: skip
        enqueue(rows, queue, station, origin, 100, places)
        return [str(row["sha256"]) for row in rows]

    return put


def refuse(*_: object) -> str:
    raise AssertionError("nobody may be asked")


NOBODY = PromotionCalls(refuse, refuse, refuse)


@pytest.fixture
def open_page(product, places) -> Callable[..., TestClient]:
    """Opens the page as a browser of its own would."""

    def opened(desk: Desk | None = None, **settings: object) -> TestClient:
        app = create_app(desk or Desk(places), NOBODY, [SITE, "http://localhost:8700"], "a key", **settings)
        return TestClient(app, base_url=SITE, headers={"Origin": SITE}, raise_server_exceptions=False)

    return opened


@contextmanager
def serve(desk: Desk, calls: PromotionCalls = NOBODY) -> Iterator[str]:
    """Serve the page on a free port until the block ends, and give its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    app = create_app(desk, calls, [address], "a key")
    page = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=page.run)
    thread.start()
    wait_until(lambda: page.started, 60, "the page", 0.05)
    try:
        yield address
    finally:
        page.should_exit = True
        thread.join()


@pytest.fixture
def waiting(registered, product, places) -> Places:
    """Version 1 is in use, and version 2 waits with the report of its run; anna may approve."""
    put_into_use(write_model_folder("first", places), places)
    second = write_model_folder("second", places)
    tracked = runs.begin("what of the second", "second-run", places)
    version = registry.register(second, "compact", tracked, "second-run", "cannot be shown", 1, places)
    registry.challenge(version.number, places)
    set_approver("anna", "correct horse", places)
    report = places.runs / "second-run/report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<script>alert(1)</script>the report")
    return places


def token_of(client: TestClient, page: str = "/enter") -> str:
    """The token of this client's session, as its forms have it."""
    return client.get(page).text.partition('name="token" value="')[2].partition('"')[0]


def enter(client: TestClient, name: str = "anna", **fields: str) -> TestClient:
    answer = client.post("/enter", data={"token": token_of(client), "name": name, **fields}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return client


def paths_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
