"""Private files: a secret is made once, and its owner alone can read it."""

import stat

import pytest

from tasks.settings.errors import BadInput
from tasks.storage.private_files import create_private_file, load_secret


def test_a_secret_is_made_once_and_stays(tmp_path):
    file = tmp_path / "new/.key"
    secret = load_secret(file)
    assert len(secret) == 64 and load_secret(file) == secret
    assert load_secret(tmp_path / ".other") != secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_of_two_processes_at_once_the_first_counts(tmp_path):
    create_private_file(tmp_path / "key", "first")
    create_private_file(tmp_path / "key", "second")
    assert (tmp_path / "key").read_text() == "first"


def test_a_file_that_holds_no_secret_is_refused(tmp_path):
    (tmp_path / "key").write_text("short")
    with pytest.raises(BadInput, match="holds 5 characters, expected 64"):
        load_secret(tmp_path / "key")
