"""Local password: one for all processes of a user, readable by nobody else, and a clear line where it cannot be had."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.pipeline import local_auth as module
from tasks.pipeline.local_auth import auth_file, local_auth
from tasks.settings.errors import BadInput


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RECAST_AUTH_FILE", str(tmp_path / "config/auth"))
    return tmp_path / "config/auth"


def test_the_password_is_made_once_and_is_hard_to_guess(file):
    first = local_auth()
    assert local_auth() == first
    name, _, password = first.partition(":")
    assert name == "recast" and len(password) >= 40
    file.unlink()
    assert local_auth() != first


def test_its_owner_alone_can_read_it_whatever_the_umask(file):
    before = os.umask(0)
    try:
        local_auth()
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(file.parent) == [file.name]


def test_processes_that_start_together_get_one_password(file):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: local_auth(), range(32)))) == 1
    assert os.listdir(file.parent) == [file.name]


def test_a_file_that_others_can_read_is_closed_to_them(file):
    local_auth()
    file.chmod(0o644)
    local_auth()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_password_of_ones_own_counts(file):
    file.parent.mkdir()
    file.write_text("someone:secret\n")
    assert local_auth() == "someone:secret"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"alone", b":x", b"x:", b"a b:c", b"a:b\nc:d", b"\xff\xfe:x", b"a:b\x1b", "ä:b".encode()]
)
def test_a_broken_file_is_told_and_left(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"holds no `name:password`: delete it"):
        local_auth()
    assert file.read_bytes() == content


def test_a_folder_in_its_place_is_told(file):
    file.mkdir(parents=True)
    with pytest.raises(BadInput, match="RECAST_AUTH_FILE"):
        local_auth()


def test_a_file_in_the_way_of_its_folder_is_told(file):
    file.parent.write_text("")
    with pytest.raises(BadInput, match="cannot be used"):
        local_auth()


def test_a_file_of_another_user_is_refused(file, monkeypatch):
    local_auth()
    monkeypatch.setattr(module.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(BadInput, match="belongs to user"):
        local_auth()


def test_without_a_variable_it_lies_in_the_home(monkeypatch, tmp_path):
    monkeypatch.delenv("RECAST_AUTH_FILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert auth_file() == tmp_path / ".config/recast/auth"
