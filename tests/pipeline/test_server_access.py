"""Server access: local servers get the local password, and no other server does."""

import os
import sqlite3
from contextlib import closing

import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_SERVER_API_AUTH_STRING,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)

from deployments.server import protected_environment
from tasks.pipeline.local_auth import local_auth
from tasks.pipeline.server_access import (
    SCRIPTS,
    authenticate,
    authenticate_or_exit,
    is_local,
    protect_database,
    require_database,
)
from tasks.settings.errors import BadInput
from tasks.storage.migrations import schemas

NAMES = ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING")
NONE = (PREFECT_API_URL, PREFECT_API_KEY, PREFECT_API_AUTH_STRING, PREFECT_SERVER_API_AUTH_STRING)


@pytest.fixture
def credentials(monkeypatch):
    """What the environment holds after Prefect had these settings."""

    def given(settings: dict) -> tuple[str | None, ...]:
        for name in NAMES:
            monkeypatch.setenv(name, "")  # put back after the test
            monkeypatch.delenv(name)
        with temporary_settings(settings, restore_defaults=NONE):
            authenticate()
        return tuple(os.environ.get(name) for name in NAMES)

    return given


def test_an_embedded_server_asks_for_what_its_clients_send(credentials):
    assert credentials({}) == (local_auth(), local_auth())


def test_a_password_file_that_cannot_be_used_ends_a_command_with_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RECAST_AUTH_FILE", str(tmp_path))
    with temporary_settings(restore_defaults=NONE), pytest.raises(SystemExit, match="2"):
        authenticate_or_exit()
    said = capsys.readouterr().err
    assert said.startswith(f"error: the password file {tmp_path} cannot be used (Is a directory): ")
    assert said.count("\n") == 1


def test_an_empty_variable_is_no_password(monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "")
    assert protected_environment("127.0.0.1", "4200")["PREFECT_SERVER_API_AUTH_STRING"] == local_auth()
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "")
    with temporary_settings(restore_defaults=NONE):
        authenticate()
    assert os.environ["PREFECT_SERVER_API_AUTH_STRING"] == os.environ["PREFECT_API_AUTH_STRING"] == local_auth()
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "me:mine")
    assert protected_environment("127.0.0.1", "4200")["PREFECT_SERVER_API_AUTH_STRING"] == "me:mine"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1.2.3", "[::1]", "LOCALHOST"])
def test_a_server_of_this_machine_gets_the_password(credentials, host):
    assert credentials({PREFECT_API_URL: f"http://{host}:4200/api"}) == (local_auth(), None)


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "prefect.example", "localhost.example", "api.prefect.cloud", "127.0.0.1.example", "[2001:db8::1]"],
)
def test_a_server_elsewhere_does_not(credentials, host):
    assert credentials({PREFECT_API_URL: f"https://{host}/api"}) == (None, None)


def test_what_the_settings_let_a_local_server_ask_for_is_sent(credentials):
    assert credentials({PREFECT_SERVER_API_AUTH_STRING: "me:mine"}) == ("me:mine", "me:mine")
    here, elsewhere = ({PREFECT_API_URL: f"http://{host}:4200/api"} for host in ("127.0.0.1", "prefect.example"))
    assert credentials({PREFECT_SERVER_API_AUTH_STRING: "me:mine", **here}) == ("me:mine", None)
    assert credentials({PREFECT_SERVER_API_AUTH_STRING: "me:mine", **elsewhere}) == (None, None)


def test_credentials_of_the_user_stay(credentials):
    assert credentials({PREFECT_API_URL: "http://127.0.0.1:4200/api", PREFECT_API_AUTH_STRING: "a:b"}) == (None, None)
    assert credentials({PREFECT_API_URL: "http://127.0.0.1:4200/api", PREFECT_API_KEY: "pnu_x"}) == (None, None)
    assert credentials({PREFECT_API_AUTH_STRING: "a:b"}) == (None, "a:b"), "the embedded server takes them too"


@pytest.mark.parametrize(
    "address", ["", "no address", "http://", "unix:/run/prefect", "http://user:password@10.1.1.1/"]
)
def test_what_is_no_loopback_address_is_not_local(address):
    assert is_local(address) == (address == "")


def test_the_database_of_a_local_server_is_its_owners_alone(tmp_path):
    for mode in (0o644, 0o600):
        address = f"sqlite+aiosqlite:///{tmp_path}/prefect.db"
        with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL: address}):
            (tmp_path / "prefect.db").touch(mode)
            protect_database()
        assert (tmp_path / "prefect.db").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def home(tmp_path):
    address = f"sqlite+aiosqlite:///{tmp_path}/prefect.db"
    settings = {PREFECT_HOME: tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL: address}
    with temporary_settings(settings, restore_defaults=NONE):
        yield tmp_path


def table_of_schema(path, schema: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (schema,))
        connection.commit()


def test_a_database_that_prefect_can_use_is_no_fault(home):
    require_database()  # a new one
    table_of_schema(home / "prefect.db", schemas("prefect", SCRIPTS)[1])
    require_database()


@pytest.mark.parametrize("content", [b"garbage", b"SQLite format 3\0" + b"x" * 5_000])
def test_a_broken_database_is_told_with_the_command_that_moves_it_away(home, content):
    (home / "prefect.db").write_bytes(content)
    with pytest.raises(BadInput, match=rf"{home}/prefect\.db cannot be used: .*mv {home}/prefect\.db"):
        require_database()
    assert (home / "prefect.db").read_bytes() == content


def test_a_folder_in_its_place_is_told(home):
    (home / "prefect.db").mkdir()
    with pytest.raises(BadInput, match="cannot be used"):
        require_database()


def test_a_database_of_a_newer_prefect_is_told(home):
    table_of_schema(home / "prefect.db", "ffffffffffff")
    with pytest.raises(BadInput, match="was written by a newer Prefect .schema ffffffffffff. than is installed"):
        require_database()


def test_where_a_server_is_named_its_database_is_not_ours_to_look_at(home):
    (home / "prefect.db").write_bytes(b"garbage")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:4200/api"}):
        require_database()
