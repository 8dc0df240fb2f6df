"""Kaggle: every way in which its server, the network or the user's settings may fail, with the real client and an emulator."""

import io
import json
import os
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from kaggle_emulator import SIGNATURE, Emulator, Fault

from tasks.settings.errors import BadInput
from tasks.sources import kaggle, kaggle_client
from tasks.sources.kaggle import ATTEMPTS, LONGEST_PAUSE, DatasetVersion, Unavailable

ROOT = Path(__file__).parents[2]
FIRST, SECOND = DatasetVersion("acme", "castings", 1), DatasetVersion("acme", "castings", 2)
TOKEN = "KGAT_0123456789abcdef"
GATEWAY = Fault(status=503, body=b"<html>busy</html>")
JSON = {"Content-Type": "application/json"}
PAGE = b"<!DOCTYPE html><title>Please log in to this network</title>"


def zip_of(seed: int, size: int) -> bytes:
    """A zip archive of about `size` bytes, the same for the same seed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(3):
            member = zipfile.ZipInfo(f"casting_data/train/ok_front/cast_ok_0_{number}.jpeg")
            archive.writestr(member, random.Random(f"{seed} {number}").randbytes(size // 3))
    return packed.getvalue()


ONE, TWO = zip_of(1, 3_000_000), zip_of(2, 3_300_000)  # bytes: the client writes them in pieces of 1 MiB


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    """Kaggle, for this process and without credentials."""
    with Emulator({"acme/castings": {1: ONE, 2: TWO}}) as running:
        running.serve(monkeypatch, home=tmp_path / "home")
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the archive is to go; nothing else is in its folder."""
    return tmp_path / "data" / "archive.zip"


class Pauses(list[float]):
    """Takes the place of `time.sleep`, and remembers."""

    __call__ = list.append


def fetched(dataset: DatasetVersion, target: Path) -> Pauses:
    """The seconds that the download would have waited."""
    pauses = Pauses()
    kaggle.download(dataset, target, pause=pauses)
    return pauses


def refused(dataset: DatasetVersion, target: Path, *errors: type[Exception]) -> tuple[str, Pauses]:
    """What the download says when it gives up, and the seconds that it would have waited."""
    pauses = Pauses()
    with pytest.raises(errors) as raised:
        kaggle.download(dataset, target, pause=pauses)
    assert not target.exists()
    return str(raised.value), pauses


def command(target: Path, patience: float) -> list[str]:
    """Asks for the newest version and downloads the first, in another process that waits so many seconds for an answer."""
    code = (
        "import pathlib, sys; from tasks.sources import kaggle, kaggle_client; kaggle_client.TIMEOUT = (2, float(sys.argv[2]));"
        "dataset = kaggle.DatasetVersion('acme', 'castings', 1); print(kaggle.latest_version(dataset));"
        "kaggle.download(dataset, pathlib.Path(sys.argv[1]))"
    )
    return [sys.executable, "-c", code, str(target), str(patience)]


def folder_of(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


# The name of a data set


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("acme/castings", DatasetVersion("acme", "castings", None)),
        ("acme/castings/12", DatasetVersion("acme", "castings", 12)),
    ],
)
def test_a_data_set_is_named_by_owner_slug_and_perhaps_a_version(spec: str, expected: DatasetVersion) -> None:
    assert DatasetVersion.parse(spec) == expected
    assert str(expected) == spec


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "castings",
        "a/b/c/d",
        "a/b/x",
        "/b",
        "a/",
        "a//1",
        "a/b/",
        "a/b/0",
        "a/b/-1",
        "a/../1",
        "a b/c",
        "a/b\n",
        "a/b/versions/3",
    ],
)
def test_any_other_name_is_refused_with_the_form_to_write(spec: str) -> None:
    with pytest.raises(BadInput, match="write kaggle:OWNER/SLUG or kaggle:OWNER/SLUG/VERSION"):
        DatasetVersion.parse(spec)


# The newest version


def test_the_newest_version_is_asked_by_one_request(emulator: Emulator) -> None:
    assert kaggle.latest_version(FIRST) == 2
    assert emulator.routes() == ["GetDataset"]


def test_a_data_set_without_a_version_is_an_error_that_asks_for_one(emulator: Emulator) -> None:
    emulator.datasets["acme/castings"] = {}
    with pytest.raises(BadInput, match="name one, as in kaggle:acme/castings/1"):
        kaggle.latest_version(FIRST)


def test_an_unknown_data_set_is_told_with_its_address(emulator: Emulator) -> None:
    with pytest.raises(BadInput, match=r"kaggle\.com/datasets/acme/bolts: check the spelling"):
        kaggle.latest_version(DatasetVersion("acme", "bolts"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_server_is_left_to_the_caller_with_the_time_it_named(emulator: Emulator, status: int) -> None:
    emulator.fail("GetDataset", Fault(status=status, headers={"Retry-After": "7"}))
    with pytest.raises(Unavailable, match=str(status)) as raised:
        kaggle.latest_version(FIRST)
    assert raised.value.retry_after == 7
    assert isinstance(raised.value, ConnectionError)


def test_the_time_to_wait_may_be_a_date(emulator: Emulator) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    emulator.fail(
        "GetDataset",
        Fault(status=429, headers={"Retry-After": soon}),
        Fault(status=429, headers={"Retry-After": "soon"}),
    )
    with pytest.raises(Unavailable) as dated:
        kaggle.latest_version(FIRST)
    assert dated.value.retry_after == pytest.approx(30, abs=10)
    with pytest.raises(Unavailable) as unclear:
        kaggle.latest_version(FIRST)
    assert unclear.value.retry_after is None


@pytest.mark.parametrize("fault", [Fault(drop_after=0), Fault(body=PAGE), Fault(status=200, body=b"{", headers=JSON)])
def test_a_broken_answer_is_left_to_the_caller(emulator: Emulator, fault: Fault) -> None:
    emulator.fail("GetDataset", fault)
    with pytest.raises(Unavailable):
        kaggle.latest_version(FIRST)


def test_a_server_that_is_not_there_is_left_to_the_caller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Emulator({}) as gone:
        gone.serve(monkeypatch, home=tmp_path)
    with pytest.raises(Unavailable, match="refused"):
        kaggle.latest_version(FIRST)


def test_another_refusal_is_told_in_the_words_of_the_server(emulator: Emulator) -> None:
    emulator.fail("GetDataset", Fault(status=400, headers=JSON, body=b'{"code": 400, "message": "the slug is odd"}'))
    with pytest.raises(BadInput, match="status 400: the slug is odd"):
        kaggle.latest_version(FIRST)


# The download: 15 ways that it can go


def test_the_archive_arrives_and_nothing_else_is_left(emulator: Emulator, target: Path) -> None:
    assert fetched(FIRST, target) == []
    assert target.read_bytes() == ONE
    assert folder_of(target) == ["archive.zip"]
    assert emulator.routes() == ["DownloadDataset", "storage"]
    assert emulator.requests[0].body == {"ownerSlug": "acme", "datasetSlug": "castings", "datasetVersionNumber": 1}


@pytest.mark.parametrize("route", ["DownloadDataset", "storage"])
def test_a_rate_limit_is_waited_for_as_long_as_it_asks(emulator: Emulator, target: Path, route: str) -> None:
    emulator.fail(
        route, Fault(status=429, headers={"Retry-After": "3"}), Fault(status=429, headers={"Retry-After": "86400"})
    )
    assert fetched(FIRST, target) == [3, LONGEST_PAUSE]
    assert target.read_bytes() == ONE


@pytest.mark.parametrize("route", ["DownloadDataset", "storage"])
def test_a_server_that_is_busy_twice_is_asked_again(emulator: Emulator, target: Path, route: str) -> None:
    emulator.fail(route, GATEWAY, times=2)
    assert fetched(FIRST, target) == [2, 4]
    assert target.read_bytes() == ONE


def test_a_server_that_stays_busy_is_given_up(emulator: Emulator, target: Path) -> None:
    emulator.fail("DownloadDataset", GATEWAY, times=ATTEMPTS)
    message, pauses = refused(FIRST, target, Unavailable)
    assert "status 503" in message
    assert len(emulator.requests) == ATTEMPTS == len(pauses) + 1
    assert pauses == sorted(pauses) and max(pauses) <= LONGEST_PAUSE
    assert folder_of(target) == []


@pytest.mark.parametrize("status", [401, 403])
def test_refused_access_is_told_at_once_with_what_to_set(emulator: Emulator, target: Path, status: int) -> None:
    emulator.fail("DownloadDataset", Fault(status=status))
    message, pauses = refused(FIRST, target, BadInput)
    assert "set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, or write ~/.kaggle/kaggle.json" in message
    assert "accept the data set's terms" in message and "\n" not in message
    assert pauses == [] and len(emulator.requests) == 1 and folder_of(target) == []


def test_an_unknown_version_is_told_at_once(emulator: Emulator, target: Path) -> None:
    message, pauses = refused(FIRST._replace(version=9), target, BadInput)
    assert "check the spelling and the number" in message
    assert pauses == [] and emulator.routes() == ["DownloadDataset"]


def test_a_dropped_connection_goes_on_where_it_broke(emulator: Emulator, target: Path) -> None:
    emulator.fail("storage", Fault(drop_after=2_500_000))
    fetched(FIRST, target)
    assert target.read_bytes() == ONE
    assert emulator.requests[-1].headers["Range"].startswith("bytes=")
    assert folder_of(target) == ["archive.zip"]


def test_an_error_page_after_a_drop_never_becomes_a_part_of_the_archive(emulator: Emulator, target: Path) -> None:
    emulator.fail(
        "storage", Fault(drop_after=2_500_000), Fault(), GATEWAY, GATEWAY
    )  # the second is the answer that a resume leaves unread
    fetched(FIRST, target)
    assert target.read_bytes() == ONE


def test_an_error_page_without_a_length_never_becomes_the_archive(emulator: Emulator, target: Path) -> None:
    endless = Fault(status=503, body=GATEWAY.body, without=("Content-Length",))
    emulator.fail("storage", Fault(drop_after=2_500_000), Fault(without=("Content-Length",)), endless, endless)
    fetched(FIRST, target)
    assert target.read_bytes() == ONE


@pytest.mark.parametrize("without", [(), ("x-goog-hash",)], ids=["by md5", "by the members' checksums"])
def test_a_corrupt_archive_is_noticed_and_asked_again_from_the_start(
    emulator: Emulator, target: Path, without: tuple[str, ...]
) -> None:
    emulator.fail("storage", Fault(corrupt=True, without=without), Fault(without=without))
    assert fetched(FIRST, target) == [2]
    assert target.read_bytes() == ONE
    assert emulator.requests[-1].headers["Range"] is None


def test_an_archive_that_stays_corrupt_is_given_up_and_not_kept(emulator: Emulator, target: Path) -> None:
    emulator.fail("storage", Fault(corrupt=True), times=ATTEMPTS)
    message, pauses = refused(FIRST, target, Unavailable)
    assert "another md5" in message
    assert len(pauses) == ATTEMPTS - 1 and folder_of(target) == []


def test_a_login_page_is_no_archive(emulator: Emulator, target: Path) -> None:
    emulator.fail("storage", Fault(status=200, body=PAGE, headers={"Content-Type": "text/html"}), times=ATTEMPTS)
    message, _ = refused(FIRST, target, Unavailable)
    assert "no zip archive" in message and "login page" in message
    assert folder_of(target) == []


@pytest.mark.parametrize("without", [("Content-Length",), ("Content-Length", "x-goog-hash")])
def test_an_archive_cut_short_without_a_length_is_noticed(
    emulator: Emulator, target: Path, without: tuple[str, ...]
) -> None:
    emulator.fail("storage", Fault(cut_after=2_500_000, without=without))
    fetched(FIRST, target)
    assert target.read_bytes() == ONE


def test_a_stalled_api_is_not_waited_for(emulator: Emulator, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle_client, "TIMEOUT", (2, 0.3))
    emulator.fail("GetDataset", Fault(stall=60))
    emulator.fail("DownloadDataset", Fault(stall=60))
    began = time.monotonic()
    with pytest.raises(Unavailable, match="Timeout"):
        kaggle.latest_version(FIRST)
    assert fetched(FIRST, target) == [2]
    assert time.monotonic() - began < 10
    assert target.read_bytes() == ONE


def test_a_stalled_body_goes_on_over_a_new_connection(
    emulator: Emulator, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle_client, "TIMEOUT", (2, 0.3))
    emulator.fail("storage", Fault(stall=60, stall_after=2_500_000))
    assert fetched(FIRST, target) == [2]
    assert target.read_bytes() == ONE
    assert emulator.requests[-1].headers["Range"].startswith("bytes=")


# What lies there, and who else is at work


def test_an_archive_that_is_there_survives_a_failed_download_and_gives_way_to_a_good_one(
    emulator: Emulator, target: Path
) -> None:
    fetched(FIRST, target)
    emulator.fail("DownloadDataset", Fault(status=403))
    with pytest.raises(BadInput):
        fetched(SECOND, target)
    assert target.read_bytes() == ONE
    fetched(SECOND, target)
    assert target.read_bytes() == TWO


def test_an_older_version_is_downloaded_after_a_newer_one(emulator: Emulator, target: Path) -> None:
    fetched(SECOND, target)
    fetched(FIRST, target)
    assert target.read_bytes() == ONE


def test_the_part_of_a_given_up_download_is_kept_for_the_next_call(emulator: Emulator, target: Path) -> None:
    emulator.fail("storage", Fault(drop_after=2_500_000))
    emulator.fail("DownloadDataset", Fault(), *[GATEWAY] * ATTEMPTS)
    refused(FIRST, target, Unavailable)
    assert folder_of(target) == [".acme-castings-v1.part"]
    emulator.faults.clear()
    assert fetched(FIRST, target) == []
    assert target.read_bytes() == ONE and folder_of(target) == ["archive.zip"]
    assert emulator.requests[-1].headers["Range"].startswith("bytes=")


def test_a_part_is_not_continued_with_the_bytes_of_another_archive(emulator: Emulator, target: Path) -> None:
    emulator.fail("storage", Fault(drop_after=2_500_000))
    emulator.fail("DownloadDataset", Fault(), *[GATEWAY] * ATTEMPTS)
    refused(FIRST, target, Unavailable)
    emulator.faults.clear()
    emulator.datasets["acme/castings"][1] = TWO
    fetched(FIRST, target)
    assert target.read_bytes() == TWO


def test_a_killed_download_is_continued_by_the_next_call(emulator: Emulator, target: Path, tmp_path: Path) -> None:
    emulator.fail("storage", Fault(stall=60, stall_after=2_500_000))
    part = target.parent / ".acme-castings-v1.part" / "castings.zip"
    environment = emulator.environment(home=tmp_path)
    with subprocess.Popen(
        command(target, patience=60), env=environment, cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size == 2 * 2**20) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    fetched(FIRST, target)
    assert target.read_bytes() == ONE
    assert emulator.requests[-1].headers["Range"] == "bytes=2097152-"
    assert folder_of(target) == ["archive.zip"]


def test_of_two_calls_at_once_one_downloads_and_the_other_waits(emulator: Emulator, target: Path) -> None:
    emulator.fail("storage", Fault(stall=0.5))
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(fetched, FIRST, target) for _ in range(2)]:
            done.result(timeout=30)
    assert emulator.routes() == ["DownloadDataset", "storage"]
    assert folder_of(target) == ["archive.zip"]


def test_a_folder_that_cannot_be_made_is_told_as_it_is(emulator: Emulator, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / ".acme-castings-v1.part").write_bytes(b"")  # a file where the client needs a folder
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        fetched(FIRST, target)


# Credentials and secrets


def test_without_credentials_no_authorization_is_sent(emulator: Emulator, target: Path) -> None:
    assert kaggle.credentials() == "none"
    fetched(FIRST, target)
    assert [request.headers["Authorization"] for request in emulator.requests] == [None, None]


KEY = json.dumps({"username": "alice", "key": TOKEN})
VARIABLES = {"token": {"KAGGLE_API_TOKEN": TOKEN}, "key": {"KAGGLE_USERNAME": "alice", "KAGGLE_KEY": TOKEN}}
FILES = {
    ".kaggle/access_token": TOKEN,
    ".kaggle/kaggle.json": KEY,
    ".config/kaggle/kaggle.json": KEY,
    "named/kaggle.json": KEY,
}


def sign_in(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Gives the client credentials, as variables or in a file of the home folder."""
    for name, value in VARIABLES.get(way, {}).items():
        monkeypatch.setenv(name, value)
    if way in FILES:
        file = Path.home() / way
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FILES[way])
        file.chmod(0o600)


@pytest.mark.parametrize(
    ("way", "kind", "scheme"),
    [
        ("token", "access token", "Bearer"),
        (".kaggle/access_token", "access token", "Bearer"),
        ("key", "legacy key", "Basic"),
        (".kaggle/kaggle.json", "legacy key", "Basic"),
        (".config/kaggle/kaggle.json", "legacy key", "Basic"),
    ],
)
def test_credentials_are_found_sent_to_the_api_and_not_to_storage(
    emulator: Emulator, target: Path, monkeypatch: pytest.MonkeyPatch, way: str, kind: str, scheme: str
) -> None:
    sign_in(monkeypatch, way)
    assert kaggle.credentials() == kind
    fetched(FIRST, target)
    api, storage = emulator.requests[-2:]
    assert api.headers["Authorization"].startswith(scheme)
    assert storage.headers["Authorization"] is None


@pytest.mark.parametrize("way", ["named/kaggle.json", ".kaggle/kaggle.json"])
def test_a_key_is_found_in_the_folder_that_is_named_and_else_in_the_home(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    sign_in(monkeypatch, way)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(Path.home() / "named"))
    assert kaggle.credentials() == "legacy key"
    assert kaggle.latest_version(FIRST) == 2
    assert emulator.requests[-1].headers["Authorization"].startswith("Basic")


@pytest.mark.parametrize("good_key_too", [False, True])
def test_a_token_that_kaggle_refuses_is_named_as_the_credentials_in_use(
    emulator: Emulator, target: Path, monkeypatch: pytest.MonkeyPatch, good_key_too: bool
) -> None:
    emulator.authorization = "Bearer another"
    sign_in(monkeypatch, "token")
    if good_key_too:
        sign_in(monkeypatch, "key")
    message, _ = refused(FIRST, target, BadInput)
    assert "status 401, credentials: access token" in message and TOKEN not in message


def test_an_expired_login_is_bad_input_and_no_exit(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle_client.client_class()  # the first import of the client signs in too: it would meet the fault, and remove the login
    login = Path.home() / ".kaggle" / "credentials.json"
    login.parent.mkdir(parents=True)
    login.write_text(json.dumps({"refresh_token": TOKEN, "username": "alice"}))
    emulator.fail("GenerateAccessToken", Fault(status=401))
    assert kaggle.credentials() == "OAuth login"
    with pytest.raises(BadInput, match="accepts none of the credentials found here"):
        kaggle.latest_version(FIRST)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [(f"{TOKEN}\n", "line break"), (f"{TOKEN}\u20ac", "letter"), (TOKEN * 20, "write it to a file")],
)
def test_a_token_that_cannot_be_sent_is_told_without_showing_it(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, spoilt: str, message: str
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", spoilt)
    with pytest.raises(BadInput, match=message) as raised:
        kaggle.latest_version(FIRST)
    assert TOKEN not in str(raised.value)
    assert emulator.routes() == []


@pytest.mark.parametrize("fault", [*map(Fault, (400, 403, 404, 503)), Fault(drop_after=0), Fault(corrupt=True)])
def test_no_message_holds_a_signature_or_a_credential(
    emulator: Emulator, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Fault
) -> None:
    sign_in(monkeypatch, "token")
    emulator.fail("storage", fault, times=ATTEMPTS)
    message, _ = refused(FIRST, target, BadInput, Unavailable)
    said = message + "".join(capsys.readouterr())
    assert SIGNATURE.partition("=")[2] not in said and TOKEN not in said


def test_a_certificate_that_is_not_trusted_is_the_users_to_mend() -> None:
    error = ConnectionError("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] self-signed'))")
    assert isinstance(kaggle_client.failure(error), BadInput)


# Other processes: the unmodified client, from its import on


def run(target: Path, environment: dict[str, str], patience: float = 10) -> str:
    """What a download in another process prints, which must succeed."""
    done = subprocess.run(
        command(target, patience), env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == ONE
    return done.stdout + done.stderr


def test_another_process_downloads_through_a_proxy_and_prints_no_secret(
    emulator: Emulator, target: Path, tmp_path: Path
) -> None:
    emulator.authorization = f"Bearer {TOKEN}"
    said = run(target, emulator.environment(home=tmp_path, KAGGLE_API_TOKEN=TOKEN, VERBOSE="1", VERBOSE_OUTPUT="1"))
    assert all(request.address.startswith("http://") for request in emulator.requests)
    assert TOKEN not in said
    assert SIGNATURE not in said


def test_the_sign_in_of_the_import_is_not_waited_for(emulator: Emulator, target: Path, tmp_path: Path) -> None:
    emulator.fail("IntrospectToken", Fault(stall=60))
    run(target, emulator.environment(home=tmp_path, KAGGLE_API_TOKEN=TOKEN), patience=1)


def test_a_home_that_cannot_be_written_is_no_obstacle(emulator: Emulator, target: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    run(target, emulator.environment(home=tmp_path / "file" / "home"))


def test_importing_the_source_loads_no_client_and_writes_nothing(tmp_path: Path) -> None:
    code = "import sys, tasks.sources.kaggle; sys.exit(bool({'kaggle', 'kagglesdk', 'requests', 'prefect'} & set(sys.modules)))"
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"HOME": str(tmp_path)}, cwd=ROOT, check=True, timeout=60
    )
    assert list(tmp_path.iterdir()) == []
