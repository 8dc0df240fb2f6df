"""Loopback: start a server of recast's as its user does, in an environment whose proxy records every request."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import httpx
from conftest import free_port, wait_until

ROOT = Path(__file__).parents[1]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class RunningServer(NamedTuple):
    site: str
    called: list[str]
    """First lines of what was asked of the proxy."""


@contextmanager
def run_server(script: str, ready: str, folder: Path, **environment: str) -> Iterator[RunningServer]:
    """Run `python script --port ...` in `folder` until the block ends; the block begins when the path `ready` answers."""
    port, kept = free_port(), {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    site = f"http://127.0.0.1:{port}"
    with run_recording_proxy() as (address, called), open(folder / "log", "wb") as log:
        proxies = {name: address for upper in PROXIES for name in (upper, upper.lower())}
        started = subprocess.Popen(
            [sys.executable, ROOT / script, "--port", str(port)],
            cwd=folder, env=kept | proxies | environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_until(lambda: started.poll() is not None or answers(site + ready), 180, f"the start of {script}")
            assert started.poll() is None, (folder / "log").read_text()
            yield RunningServer(site, called)
        finally:
            started.terminate()
            started.wait(60)
            wait_until(lambda: not answers(site + ready), 60, f"the end of all that {script} started")


@contextmanager
def run_recording_proxy() -> Iterator[tuple[str, list[str]]]:
    """Run a proxy that refuses all, and give its address and the list of what it was asked."""
    called: list[str] = []
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Recorder,), {"called": called}))
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{proxy.server_port}", called
    proxy.shutdown()
    proxy.server_close()


class Recorder(BaseHTTPRequestHandler):
    called: list[str]

    def handle_one_request(self) -> None:
        line = self.rfile.readline(1_000)
        self.close_connection = True
        if line:
            self.called.append(line.decode(errors="replace"))
            self.wfile.write(b"HTTP/1.1 502 Refused\r\nContent-Length: 0\r\n\r\n")


def answers(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).is_success
    except httpx.TransportError:
        return False
