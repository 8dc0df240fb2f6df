"""Kaggle emulator: answer like the part of Kaggle that a download needs, on 127.0.0.1, for the unmodified client `kaggle`.

    from kaggle_emulator import Emulator, Fault

    with Emulator({"owner/slug": {1: first_zip, 2: second_zip}}) as kaggle:
        kaggle.serve(monkeypatch, home=tmp_path)                    # in this process, or
        subprocess.run(..., env=kaggle.environment(home=tmp_path))  # in another one, as its http proxy

        kaggle.fail("storage", Fault(drop_after=2_500_000), Fault(status=503), Fault(status=503))
        ...
        assert kaggle.routes() == ["GetDataset", "DownloadDataset", "storage"]
        assert "Range" in kaggle.requests[-1].headers

Routes are "GetDataset", "DownloadDataset", "IntrospectToken" and "storage". A fault is used up by one request of its
route, in the order given. Storage answers on a port of its own, at a signed address, with ETag, Last-Modified, md5 and
ranges. `authorization` is the one Authorization header that the API lets in; None lets everyone in. `datasets` may be
changed while the emulator runs: add a version, and it is the newest. Leaving the `with` ends every stall and connection.
"""

import base64
import hashlib
import json
import os
import re
import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import pytest

SIGNATURE = "X-Goog-Signature=5ec2e75ec2e7"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass(frozen=True)
class Fault:
    """One answer that goes wrong. Bytes are counted in the body of this answer, seconds are real ones."""

    status: int | None = None
    """Answer with this status and `body` instead."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added, or instead of those of the same name."""
    without: tuple[str, ...] = ()
    """Headers left out; without Content-Length the body ends where the connection does."""
    body: bytes | None = None
    drop_after: int | None = None
    """Then reset the connection."""
    cut_after: int | None = None
    """Then close the connection as if the body were complete."""
    corrupt: bool = False
    """Flip a bit in the middle."""
    stall: float = 0
    """Wait so long, before the headers, or after `stall_after` bytes of the body."""
    stall_after: int | None = None


class Request(NamedTuple):
    """One line of the log."""

    route: str
    address: str
    """Absolute when the emulator was asked as a proxy."""
    headers: Message
    body: dict[str, Any]


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes = b""


class Emulator:
    """Two servers, one for the API and one for storage, from `with` to its end."""

    def __init__(self, datasets: dict[str, dict[int, bytes]], authorization: str | None = None) -> None:
        self.datasets, self.authorization = datasets, authorization
        self.requests: list[Request] = []
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.closing = threading.Event()

    def __enter__(self) -> Self:
        self.api, self.storage = Server(self), Server(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.api.stop()
        self.storage.stop()

    def fail(self, route: str, *faults: Fault, times: int = 1) -> None:
        """Plans the next answers of a route: these faults, the whole row so many times."""
        self.faults[route].extend(faults * times)

    def routes(self) -> list[str]:
        """The route of each request so far."""
        return [request.route for request in self.requests]

    def serve(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        """Sends the client of this process here, anonymous, with `home` as its home, until the test ends."""
        from kagglesdk.kaggle_env import KaggleEnv, _env_to_endpoint

        monkeypatch.setitem(_env_to_endpoint, KaggleEnv.PROD, self.api.address)
        for name in foreign_settings():
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(home))

    def environment(self, home: Path, **settings: str) -> dict[str, str]:
        """The variables that send the client of another process here, anonymous unless `settings` say otherwise."""
        kept = {name: value for name, value in os.environ.items() if name not in foreign_settings()}
        own = {
            "HOME": str(home),
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "PYTHONPATH": str(Path(__file__).parent / "kaggle_elsewhere"),
            "http_proxy": self.api.address,
            "no_proxy": "",
        }
        return kept | own | settings

    def answer(self, request: Request) -> Response:
        """What Kaggle would answer, were nothing wrong."""
        if request.route == "storage":
            return self.stored(request)
        if request.route == "IntrospectToken":
            active = self.authorization in (None, f"Bearer {request.body.get('token')}")
            return json_answer({"active": active, "username": "alice"}) if active else refusal(HTTPStatus.BAD_REQUEST)
        if self.authorization not in (None, request.headers["Authorization"]):
            return refusal(HTTPStatus.UNAUTHORIZED if request.headers["Authorization"] else HTTPStatus.FORBIDDEN)
        name = f"{request.body.get('ownerSlug')}/{request.body.get('datasetSlug')}"
        versions = self.datasets.get(name)
        if versions is None:
            return refusal(HTTPStatus.NOT_FOUND)
        if request.route == "GetDataset":
            return json_answer(describe_dataset(name, versions))
        asked = request.body.get("datasetVersionNumber", max(versions, default=0))
        if request.route != "DownloadDataset" or asked not in versions:
            return refusal(HTTPStatus.NOT_FOUND)
        return Response(302, {"Location": f"{self.storage.address}/storage/{name}/{asked}?{SIGNATURE}"})

    def stored(self, request: Request) -> Response:
        """The archive, or the part of it that the request's Range names."""
        address = urlsplit(request.address)
        if address.query != SIGNATURE:
            return refusal(HTTPStatus.FORBIDDEN)
        name, _, version = address.path.removeprefix("/storage/").rpartition("/")
        content = self.datasets[name][int(version)]
        headers = storage_headers(content, int(version))
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers["Range"] or "")
        if not wanted or request.headers["If-Range"] not in (None, headers["ETag"], headers["Last-Modified"]):
            return Response(200, headers, content)
        start = int(wanted[1])
        if start >= len(content):
            return Response(416, {"Content-Range": f"bytes */{len(content)}"})
        return Response(
            206, headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}, content[start:]
        )


class Server(ThreadingHTTPServer):
    """Answers for an emulator from a thread of its own, one thread a request."""

    daemon_threads = False  # `stop` waits for every thread, so that none leaves a socket open

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Reads a request, logs it, and sends its answer with the fault planned for it."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    server: Server

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client went away, or a fault dropped it
            super().handle()

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        route = urlsplit(self.path).path.rpartition("/")[2]
        self.respond(route, json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}"))

    def do_GET(self) -> None:
        self.respond("storage", {})

    def respond(self, route: str, body: dict[str, Any]) -> None:
        emulator = self.server.emulator
        request = Request(route, self.path, self.headers, body)
        emulator.requests.append(request)
        planned = emulator.faults[route]
        fault = planned.popleft() if planned else Fault()
        if fault.status is None:
            self.send(apply_fault(emulator.answer(request), fault), fault)
        else:
            self.send(apply_fault(Response(fault.status, {}, fault.body or b""), fault), fault)

    def send(self, answer: Response, fault: Fault) -> None:
        """The answer, up to where the fault interrupts it. One request a connection, so that none outlives its answer."""
        if fault.stall_after is None:
            self.server.emulator.closing.wait(fault.stall)
        self.send_response(answer.status)
        for name, value in (answer.headers | {"Connection": "close"}).items():
            self.send_header(name, value)
        self.end_headers()
        stop = next(
            (after for after in (fault.drop_after, fault.cut_after, fault.stall_after) if after is not None),
            len(answer.body),
        )
        self.wfile.write(answer.body[:stop])
        if fault.drop_after is not None:
            self.reset()
        if fault.stall_after is not None:
            self.server.emulator.closing.wait(fault.stall)
            self.wfile.write(answer.body[stop:])

    def reset(self) -> None:
        """Ends the connection with RST."""
        self.server.emulator.closing.wait(
            0.1
        )  # seconds: what was sent before a reset is lost until the client has read it
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (self.rfile, self.wfile, self.connection):
            end.close()
        raise ConnectionAbortedError


def apply_fault(answer: Response, fault: Fault) -> Response:
    """The answer with the fault's headers and bytes."""
    body = answer.body if fault.body is None else fault.body
    if fault.corrupt:
        body = body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]
    headers = answer.headers | {"Content-Length": str(len(body))} | dict(fault.headers)
    return Response(answer.status, {name: value for name, value in headers.items() if name not in fault.without}, body)


def publication_date(version: int) -> datetime:
    """A day later for each version."""
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=version)


def storage_headers(content: bytes, version: int) -> dict[str, str]:
    md5 = hashlib.md5(content)
    return {
        "Content-Type": "application/zip",
        "Accept-Ranges": "bytes",
        "ETag": f'"{md5.hexdigest()}"',
        "Last-Modified": format_datetime(publication_date(version), usegmt=True),
        "x-goog-hash": f"crc32c=AAAAAA==,md5={base64.b64encode(md5.digest()).decode()}",
    }


def describe_dataset(name: str, versions: dict[int, bytes]) -> dict[str, Any]:
    """A data set as GetDataset tells of it; without versions it has no current one."""
    if not versions:
        return {"ref": name, "versions": []}
    dates = {number: f"{publication_date(number):%Y-%m-%dT%H:%M:%S}.1234567Z" for number in versions}
    listed = [{"versionNumber": number, "creationDate": date, "status": "READY"} for number, date in dates.items()]
    newest = max(versions)
    current = {"currentVersionNumber": newest, "lastUpdated": dates[newest], "totalBytes": len(versions[newest])}
    return {"ref": name, "versions": listed} | current


def json_answer(value: dict[str, Any], status: int = HTTPStatus.OK) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def refusal(status: HTTPStatus) -> Response:
    return json_answer({"code": status.value, "message": status.phrase}, status)


def foreign_settings() -> list[str]:
    """The variables of this process that would lead the client elsewhere, or sign it in."""
    return [
        name
        for name in os.environ
        if name.startswith("KAGGLE_") or name.lower() in PROXIES or name == "XDG_CONFIG_HOME"
    ]
