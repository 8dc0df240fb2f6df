"""How soon is the next photograph there on the review page, and does a killed server lose an answer or count one twice?

python benchmarks/review_page.py [--cards 1000] [--kills 20] [--json FILE]

It needs a finished run (`make retrain`), which it copies into a temporary folder. Nothing of the run is changed. The photographs are those
of the run, with noise, so that each is a new one. One browser answers the cards by keys. Then two clients answer as the script of the page
does, by the same identity until the server says that it is saved, while the server is killed at random moments.
"""

import argparse
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import httpx
import numpy as np
from PIL import Image

from benchmarks.preparation import write_figures
from tasks.labeling.label_log import LabelLog, latest_labels
from tasks.labeling.placement import find_placed
from tasks.settings.settings import Places

ROOT = Path(__file__).resolve().parents[1]
LINES = "line-1", "line-2"  # where the photographs come from
PHOTOGRAPHS_A_KILL = 200  # so that the clients have something to answer until the last kill
STARTED = 120.0  # seconds until a server must answer
SHOWN = """before => { const card = document.querySelector('.card:not([hidden])')
    return card && card.dataset.sha256 !== before && card.querySelector('.photograph').complete }"""
CURRENT = "document.querySelector('.card:not([hidden])').dataset.sha256"


def main() -> None:
    """Measure both, write the figures, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cards", type=int, default=1_000, help="photographs for the browser")
    parser.add_argument("--kills", type=int, default=20, help="of the server")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="of the finished run")
    parser.add_argument("--data", type=Path, default=Path("data"), help="of the finished run")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recast-review-") as scratch:
        places = copy_run(options.data, options.artifacts, Path(scratch))
        draw_photographs(places, LINES[0], options.cards)
        seconds = answer_by_keys(places, options.cards)
        draw_photographs(places, LINES[1], PHOTOGRAPHS_A_KILL * options.kills)
        losses = survive_kills(places, options.kills)
    milliseconds = 1_000 * np.array(seconds)
    figures = {
        "cards": len(seconds),
        "median_ms": float(np.median(milliseconds)),
        "ninety_ninth_ms": float(np.quantile(milliseconds, 0.99)),
        "worst_ms": float(milliseconds.max()),
        **losses,
    }
    write_figures(figures, options.json)
    print(
        f"{figures['cards']:,} cards: from key to the next photograph {figures['median_ms']:.0f} ms in the median, "
        f"{figures['ninety_ninth_ms']:.0f} ms for 99 %, {figures['worst_ms']:.0f} ms at worst"
    )
    print(
        f"{figures['kills']} kills: {figures['sent']:,} answers said to be saved, {figures['lost']} lost, {figures['doubled']} twice, "
        f"{figures['misplaced']} not in the inbox as labeled"
    )


def copy_run(data: Path, artifacts: Path, scratch: Path) -> Places:
    """Copy a finished run and the images that it knew into a folder of its own. Exits where there is none."""
    if not (artifacts / "runs/latest/run.json").is_file():
        sys.exit(f"error: there is no finished run in {artifacts}: make retrain makes one")
    shutil.copytree(artifacts, scratch / "artifacts", symlinks=True)
    shutil.copytree(data / "images", scratch / "data/images")
    return Places(data=scratch / "data", artifacts=scratch / "artifacts")


def draw_photographs(places: Places, line: str, number: int) -> None:
    """Put so many new photographs without a label into the inbox."""
    known = sorted((places.data / "images").glob("*/*.jp*g"))
    folder, noise = places.inbox / line / "unlabeled", np.random.default_rng(LINES.index(line))
    folder.mkdir(parents=True)
    for count in range(number):
        pixels = np.asarray(Image.open(known[count % len(known)]).convert("L"), float)
        drawn = np.clip(pixels + noise.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(drawn).save(folder / f"part_{count:05}.jpeg", quality=90)


@contextmanager
def running_server(places: Places, port: int) -> Iterator[None]:
    """Run the page until the block ends, however it ends."""
    server = start_server(places, port)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def start_server(places: Places, port: int) -> subprocess.Popen[bytes]:
    """Start the page, and return its process when it answers."""
    words = [sys.executable, str(ROOT / "flows/review.py"), "--port", str(port)]
    named = ["--data", str(places.data), "--artifacts", str(places.artifacts)]
    process = subprocess.Popen([*words, *named], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + STARTED
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/enter", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return process
    sys.exit("error: flows/review.py does not start; call it by itself to see why")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def open_queue(site: str) -> Iterator[Any]:
    """Open the queue of unlabeled photographs in the machine's Chromium."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if found is None:
        sys.exit("error: no Chromium or Chrome on the PATH")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=[] if os.geteuid() else ["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(site)
        page.get_by_label("Name").fill("anna")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Overview").wait_for()
        page.goto(f"{site}/queue/to_label")
        yield page
        browser.close()


def answer_by_keys(places: Places, cards: int) -> list[float]:
    """Answer all cards but the last in a browser, and return the seconds from each key until the next photograph is shown."""
    port, seconds = free_port(), list[float]()
    with running_server(places, port), open_queue(f"http://127.0.0.1:{port}") as page:
        for number in range(cards - 1):
            before = page.evaluate(CURRENT)
            begin = time.perf_counter()
            page.keyboard.press("gd"[number % 2])
            page.wait_for_function(SHOWN, arg=before, polling="raf")
            seconds.append(time.perf_counter() - begin)
        page.wait_for_function("() => JSON.parse(localStorage.getItem('recast-outbox-anna') || '[]').length === 0")
    return seconds


def survive_kills(places: Places, kills: int) -> dict[str, int]:
    """Kill the server so many times while two clients answer, and return what was lost, doubled or not placed."""
    port, stop, saved = free_port(), threading.Event(), [Counter[str](), Counter[str]()]
    server, chance = start_server(places, port), random.Random(0)
    clients = [
        threading.Thread(target=answer_until, args=[f"http://127.0.0.1:{port}", name, stop, counter])
        for name, counter in zip(("ben", "cleo"), saved, strict=True)
    ]
    for client in clients:
        client.start()
    for _ in range(kills):
        time.sleep(chance.uniform(0.5, 5.0))
        server.send_signal(signal.SIGKILL)
        server.wait()
        server = start_server(places, port)
    stop.set()
    for client in clients:
        client.join()
    server.terminate()
    server.wait()
    return count_losses(places, kills, saved[0] + saved[1])


def answer_until(site: str, name: str, stop: threading.Event, saved: Counter[str]) -> None:
    """Answer cards, each again with the same identity until the server says that it is saved."""
    with httpx.Client(base_url=site, headers={"Origin": site}, timeout=30) as client:
        while not stop.is_set():
            try:
                page = client.get("/queue/to_label")
                if "/enter" in page.headers.get("location", ""):
                    client.post("/enter", data={"token": token_in(client.get("/enter").text), "name": name})
                    continue
                card = re.search('data-sha256="([0-9a-f]{64})"', page.text)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if card is None:
                return
            send(client, {"queue": "to_label", "sha256": card[1], "label": "good", "decision": uuid.uuid4().hex}, saved)


def send(client: httpx.Client, answer: dict[str, str], saved: Counter[str]) -> None:
    """Send an answer until the server says that it is saved, twice where the connection broke off: the first may have arrived."""
    while True:
        try:
            token = token_in(client.get("/queue/to_label").text)
            said = client.post("/answer", data={**answer, "token": token}, headers={"Accept": "application/json"})
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if said.status_code == 200:
            saved[answer["decision"]] += 1
            return
        if said.status_code == 404:  # the other client answered it, and it is listed no longer
            return


def token_in(page: str) -> str:
    """Return the token in the forms of a page."""
    return page.partition('name="token" value="')[2].partition('"')[0]


def count_losses(places: Places, kills: int, saved: Counter[str]) -> dict[str, int]:
    """Compare what was said to be saved with the log, line by line, and the log with the inbox."""
    lines = Counter(line.partition(",")[0] for line in (places.artifacts / "labels.csv").read_text().splitlines())
    own = [row for row in LabelLog(places).rows() if row.origin in LINES]  # the copied run may have had answers
    labels = latest_labels(own)
    placed = find_placed(places.inbox)
    return {
        "kills": kills,
        "sent": len(saved),
        "lost": sum(decision not in lines for decision in saved),
        "doubled": sum(lines[decision] > 1 for decision in saved),
        "misplaced": sum(sha256[:16] not in placed for sha256 in labels),
    }


if __name__ == "__main__":
    main()
