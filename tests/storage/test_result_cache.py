"""Result cache: the result of a content is computed once, whatever happens to the process or the file."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import zlib
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.settings.errors import BadInput
from tasks.settings.settings import Places
from tasks.storage.result_cache import NAME, cached_map

ROOT = Path(__file__).parents[2]


class Work:
    """Makes a value of a key, and notes which keys it was asked for."""

    def __init__(self, sign: bytes = b"") -> None:
        self.sign, self.blocks = sign, []

    def __call__(self, keys: list[str]) -> list[bytes]:
        self.blocks.append(keys)
        return [self.value(key) for key in keys]

    def value(self, key: str) -> bytes:
        return self.sign + key.encode()[::-1] * 3

    @property
    def keys(self) -> list[str]:
        return [key for block in self.blocks for key in block]


@pytest.fixture
def work():
    return Work()


def keys(count: int) -> list[str]:
    return [f"{number:064x}.jpeg" for number in range(count)]


def test_every_value_is_made_once_and_comes_in_order(work, places):
    wanted = keys(10)[::-1]
    expected = [work.value(key) for key in wanted]
    assert list(cached_map("look", "1", wanted, work, places, block=4)) == expected
    assert work.blocks == [wanted[:4], wanted[4:8], wanted[8:]]
    assert list(cached_map("look", "1", wanted, work, places, block=3)) == expected
    assert len(work.blocks) == 3, "nothing is made again"


def test_new_keys_among_many_cost_as_much_as_they_are(work, places):
    list(cached_map("look", "1", keys(1_000), work, places))
    work.blocks.clear()
    wanted = sorted(keys(1_010), key=lambda key: key[::-1])
    assert list(cached_map("look", "1", wanted, work, places)) == [work.value(key) for key in wanted]
    assert sorted(work.keys) == keys(1_010)[1_000:]


def test_a_key_that_is_asked_for_twice_is_made_once(work, places):
    wanted = ["a", "b", "a", "a", "c", "b"]
    assert list(cached_map("look", "1", wanted, work, places, block=4)) == [work.value(key) for key in wanted]
    assert work.keys == ["a", "b", "c"]


def test_another_version_takes_the_place_of_the_first(places):
    first, second = Work(b"first"), Work(b"second")
    list(cached_map("look", "1", keys(50), first, places))
    before = (places.data / NAME).stat().st_size
    assert list(cached_map("look", "2", keys(50), second, places)) == [second.value(key) for key in keys(50)]
    assert (places.data / NAME).stat().st_size <= before + 4_096  # a page, as values are longer by a letter
    list(cached_map("look", "1", keys(50), first, places))
    assert first.keys == keys(50) * 2, "the older version is gone"


def test_two_kinds_do_not_meet(places):
    first, second = Work(b"first"), Work(b"second")
    assert list(cached_map("look", "1", ["a"], first, places)) != list(cached_map("ring", "1", ["a"], second, places))
    assert list(cached_map("look", "1", ["a"], Work(), places)) == [first.value("a")]


def test_no_more_than_a_block_is_asked_for_ahead(work, places):
    asked = []
    values = cached_map("look", "1", (asked.append(key) or key for key in keys(100)), work, places, block=10)
    assert len(list(islice(values, 11))) == 11
    assert len(asked) == 20


@pytest.mark.parametrize("block", [0, 501])
def test_a_block_that_a_statement_cannot_take_is_refused(block, work, places):
    with pytest.raises(ValueError, match=f"block is {block}, expected 1 to 500"):
        next(cached_map("look", "1", ["a"], work, places, block=block))


def test_the_largest_block_is_taken(work, places):
    assert len(list(cached_map("look", "1", keys(1_200), work, places, block=500))) == 1_200
    assert [len(block) for block in work.blocks] == [500, 500, 200]


def test_too_few_values_are_an_error_and_nothing_is_kept(work, places):
    with pytest.raises(ValueError, match="shorter"):
        list(cached_map("look", "1", ["a", "b"], lambda keys: [b"x"], places))
    list(cached_map("look", "1", ["a", "b"], work, places))
    assert work.keys == ["a", "b"]


def test_an_error_loses_only_its_block(work, places):
    def stumble(keys: list[str]) -> list[bytes]:
        if "e" in keys:
            raise OSError("disk on fire")
        return work(keys)

    with pytest.raises(OSError, match="on fire"):
        list(cached_map("look", "1", "abcdef", stumble, places, block=2))
    work.blocks.clear()
    list(cached_map("look", "1", "abcdef", work, places, block=2))
    assert work.keys == ["e", "f"]


DIES = """
import os, signal, sys
from pathlib import Path
from tasks.settings.settings import Places
from tasks.storage.result_cache import cached_map

def make(keys):
    if "6" in keys:
        os.kill(os.getpid(), signal.SIGKILL)
    return [key.encode() for key in keys]

list(cached_map("look", "1", "0123456789", make, Places(data=Path(sys.argv[1])), block=2))
"""


def test_a_killed_process_loses_the_block_that_it_was_at(work, places):
    ended = subprocess.run([sys.executable, "-c", DIES, str(places.data)], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    values = list(cached_map("look", "1", "0123456789", work, places, block=2))
    assert values[:6] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert work.keys == ["6", "7", "8", "9"]


BUSY = """
import sys
from pathlib import Path
from tasks.settings.settings import Places
from tasks.storage.result_cache import cached_map

name, places = sys.argv[2], Places(data=Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
keys = [f"{number}" for number in range(300)]
values = list(cached_map("look", "1", keys, lambda keys: [key.encode() for key in keys], places, block=3))
assert values == [key.encode() for key in keys]
own = [f"{name}{number}" for number in range(300)]
assert list(cached_map("look", "1", own, lambda keys: [key.encode() for key in keys], places, block=3)) == [key.encode() for key in own]
"""


def test_two_processes_at_once_both_succeed(work, places):
    command = [sys.executable, "-c", BUSY, str(places.data)]
    both = [
        subprocess.Popen(
            [*command, name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    for process in both:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    wanted = [f"{name}{number}" for number in range(300) for name in ("", "a", "b")]
    assert list(cached_map("look", "1", wanted, work, places)) == [key.encode() for key in wanted]
    assert not work.blocks


def test_a_writer_that_takes_its_time_is_waited_for(work, places):
    list(cached_map("look", "1", ["a"], work, places))
    busy = sqlite3.connect(places.data / NAME, isolation_level=None, check_same_thread=False)
    busy.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.2, lambda: busy.execute("COMMIT"))
    done.start()
    assert list(cached_map("look", "1", ["b"], work, places)) == [work.value("b")]
    done.join()
    busy.close()


def test_a_generator_may_be_left_and_taken_up_by_another_thread(work, places):
    values = cached_map("look", "1", keys(6), work, places, block=2)
    found = [next(values)]
    thread = threading.Thread(target=lambda: found.extend(values))
    thread.start()
    thread.join()
    assert found == [work.value(key) for key in keys(6)]


def damage(path: Path, fault: str) -> None:
    content = path.read_bytes()
    if fault == "another table":
        path.unlink()
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE kept (something TEXT)")
        connection.close()
        return
    path.write_bytes({
        "a text": b"this is a text and no database, " * 40,
        "cut": content[: len(content) // 2],
        "a wrong first page": content[:100] + bytes(4_000) + content[4_100:],
        "noise": content[:4_096] + b"\xff" * (len(content) - 4_096),
    }[fault])  # fmt: skip


@pytest.mark.parametrize("fault", ["a text", "cut", "a wrong first page", "noise", "another table"])
def test_a_damaged_file_is_begun_anew_and_that_is_said_once(fault, work, places, capsys):
    list(cached_map("look", "1", keys(400), work, places))
    damage(places.data / NAME, fault)
    work.blocks.clear()
    expected = [work.value(key) for key in keys(400)]
    assert list(cached_map("look", "1", keys(400), work, places)) == expected
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith(f"{places.data / NAME} is damaged (")
    assert said.endswith("): begun anew\n")
    work.blocks.clear()
    assert list(cached_map("look", "1", keys(400), work, places)) == expected
    assert not work.blocks


def test_a_journal_of_a_damaged_file_is_not_played_into_the_new_one(work, places):
    places.data.mkdir()
    (places.data / NAME).write_bytes(b"no database at all " * 99)
    (places.data / f"{NAME}-journal").write_bytes(b"left by a crash " * 99)
    list(cached_map("look", "1", ["a"], work, places))
    assert sorted(path.name for path in places.data.iterdir()) == [NAME]


@pytest.mark.parametrize("column", ["value", "checksum", "key"])
def test_a_value_that_was_altered_is_made_again(column, work, places):
    list(cached_map("look", "1", ["a", "b"], work, places))
    altered = {"value": "X'00'", "checksum": "1", "key": "'c'"}[column]
    with sqlite3.connect(places.data / NAME) as connection:
        connection.execute(f"UPDATE kept SET {column} = {altered} WHERE key = 'b'")
    connection.close()
    work.blocks.clear()
    assert list(cached_map("look", "1", "abc", work, places)) == [work.value(key) for key in "abc"]
    assert work.keys == ["b", "c"]


def test_a_checksum_is_of_key_and_value(work, places):
    list(cached_map("look", "1", ["a"], work, places))
    with sqlite3.connect(places.data / NAME) as connection:
        ((found,),) = connection.execute("SELECT checksum FROM kept")
    connection.close()
    assert found == zlib.crc32(b"a" + work.value("a"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_file_that_may_not_be_written_is_an_error_that_names_it(work, places):
    list(cached_map("look", "1", ["a"], work, places))
    (places.data / NAME).chmod(0o400)
    with pytest.raises(BadInput, match=f"{NAME} cannot be used"):
        list(cached_map("look", "1", ["b"], work, places))
    assert list(cached_map("look", "1", ["a"], work, places)) == [work.value("a")]


def test_a_folder_in_its_place_is_an_error_that_names_it(work, places):
    (places.data / NAME).mkdir(parents=True)
    with pytest.raises(BadInput, match=f"{NAME} cannot be used .*see that it is a file that can be written"):
        list(cached_map("look", "1", ["a"], work, places))


@given(
    rounds=st.lists(
        st.tuples(st.sampled_from("12"), st.lists(st.text("abcdé\0", max_size=2), max_size=12), st.integers(1, 5)),
        max_size=6,
    )
)
def test_whatever_was_asked_before_the_values_are_right(rounds, tmp_path_factory):
    places = Places(data=tmp_path_factory.mktemp("kept"))
    for version, wanted, block in rounds:
        work = Work(version.encode())
        assert list(cached_map("look", version, wanted, work, places, block=block)) == [
            work.value(key) for key in wanted
        ]
        assert len(work.keys) == len(set(work.keys))


def test_a_value_that_does_not_last_is_handed_on_and_made_again(places, work):
    for _ in range(2):
        found = list(
            cached_map("kind", "1", ["aa", "bb"], work, places, lasting=lambda value: value != work.value("aa"))
        )
        assert found == [work.value("aa"), work.value("bb")]
    assert work.blocks == [["aa", "bb"], ["aa"]]
