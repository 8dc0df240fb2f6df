"""Private files: a secret that nobody else can read, one for all processes."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.settings.errors import BadInput
from tasks.storage.private_files import create_private_file, load_secret


def test_a_secret_is_made_once_and_its_owner_alone_can_read_it(tmp_path):
    file = tmp_path / "folder/.secret"
    secret = load_secret(file)
    assert len(secret) == 64
    assert int(secret, 16)
    assert load_secret(file) == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [".secret"]


def test_two_files_hold_two_secrets(tmp_path):
    assert load_secret(tmp_path / "a") != load_secret(tmp_path / "b")


def test_the_first_text_counts_and_the_second_leaves_nothing(tmp_path):
    file = tmp_path / "secret"
    create_private_file(file, "first")
    create_private_file(file, "second")
    assert file.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_text_that_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        create_private_file(tmp_path / "secret", "ü")
    assert list(tmp_path.iterdir()) == []


LOAD = """
import sys
from pathlib import Path
from tasks.storage.private_files import load_secret
print("ready", flush=True)
sys.stdin.readline()
print(load_secret(Path(sys.argv[1])))
"""


def test_processes_that_begin_at_once_have_one_secret(tmp_path, process):
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", LOAD, str(tmp_path / "secret")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )
        for _ in range(3)
    ]  # fmt: skip
    for start in starts:
        assert start.stdout.readline() == "ready\n"
    for start in starts:
        start.stdin.write("go\n")
        start.stdin.flush()
    secrets = {start.communicate()[0] for start in starts}
    assert secrets == {f"{load_secret(tmp_path / 'secret')}\n"}


@pytest.mark.parametrize("content", [b"", b"short\n", b"a" * 65, b"\xff" * 63], ids=["empty", "short", "long", "bytes"])
def test_a_file_that_holds_no_secret_is_named_and_left_as_it_is(tmp_path, content):
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(BadInput, match=rf"secret holds {len(content.strip())} characters, expected 64 of a secret"):
        load_secret(file)
    assert file.read_bytes() == content


def test_a_line_end_of_an_editor_is_no_part_of_the_secret(tmp_path):
    file = tmp_path / "secret"
    secret = load_secret(file)
    file.write_text(f"{secret}\r\n")
    assert load_secret(file) == secret


def test_a_folder_and_a_place_below_a_file_are_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file/secret"):
        with pytest.raises(BadInput, match="cannot be used .*: a file that you alone can read is expected"):
            load_secret(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_can_read_or_change_is_refused(tmp_path, mode):
    file = tmp_path / "secret"
    load_secret(file)
    file.chmod(mode)
    with pytest.raises(BadInput, match="can be read by others: chmod 600 it, and delete it where"):
        load_secret(file)
    file.chmod(0o600)
    assert len(load_secret(file)) == 64
