"""Marks: they come from what a test names, and a test that uses more fails."""

import socket
import subprocess
import sys
from types import SimpleNamespace

import marks
import pytest
from guard import GUARD


def item_with_marks(*names: str) -> SimpleNamespace:
    """As much of a test as the guard asks: its marks."""
    return SimpleNamespace(iter_markers=lambda: [SimpleNamespace(name=name) for name in names])


def item_of(function, *fixtures: str) -> SimpleNamespace:
    """As much of a test as the search for marks asks."""
    return SimpleNamespace(obj=function, fixturenames=fixtures, _fixtureinfo=SimpleNamespace(name2fixturedefs={}))


@pytest.mark.parametrize(
    ("module", "brings"),
    [
        ("keras.layers", {"tensorflow"}),
        ("mlflow", {"mlflow"}),
        ("kerastuner", set()),
        ("tasks.networks.networks", {"tensorflow"}),
        ("tasks.training.trainer", {"tensorflow"}),
        ("tasks.tracking.runs", set()),
        ("tasks.networks.no_such_module", set()),
        ("postgresql", {"process"}),
        ("json", set()),
    ],
)
def test_a_module_brings_the_mark_of_what_it_loads_at_its_top(module, brings):
    assert marks.marks_of_module(module) == brings


def helper() -> object:
    return [lambda: subprocess.run]


class Server:
    def port(self) -> object:
        return socket.socket()


def by_a_late_import() -> None:
    from tasks.networks import networks  # noqa: F401


@pytest.mark.parametrize(
    ("function", "fixtures", "found"),
    [
        (lambda: helper(), (), {"process"}),
        (lambda: Server(), (), {"server"}),
        (by_a_late_import, (), {"tensorflow"}),
        (lambda: len("a"), ("places", "mlflow", "real"), {"mlflow", "real"}),
        (lambda: sys.platform, ("places",), set()),
    ],
    ids=["a helper's lambda", "a method of a class", "a late import", "fixtures", "nothing"],
)
def test_marks_are_found_by_what_a_test_names_and_what_that_names(function, fixtures, found):
    assert marks.marks_of_test(item_of(function, *fixtures)) == found


def open_a_port() -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))


def start_a_process() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def load_a_network() -> None:
    exec("from tasks.networks import networks", {"__name__": "tasks.train"})


@pytest.mark.parametrize(
    ("take", "mark", "says"),
    [
        (open_a_port, "server", "the port"),
        (start_a_process, "process", "the process"),
        (load_a_network, "tensorflow", "the module tasks.networks.networks"),
    ],
)
def test_what_a_test_takes_without_its_mark_fails_it(tensorflow, server, process, take, mark, says):
    missing = pytest.raises(pytest.fail.Exception, match=f"{says}.* \\(mark `{mark}`\\)")
    with missing, GUARD.over(item_with_marks("long")):
        take()
    with GUARD.over(item_with_marks(mark)):
        take()


def test_a_test_that_fails_by_itself_says_why_and_no_more():
    with pytest.raises(ZeroDivisionError), GUARD.over(item_with_marks()):
        open_a_port()
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("line", "asked", "left_out"),
    [
        ("def test_it(real_archive): ...", "real and not long", None),
        ("def test_it(places): ...", "real and not long", True),
        ("def test_it(places): ...", "not (real or long)", None),
        ("import keras", "not tensorflow", True),
        ("import keras", "not real", None),
    ],
)
def test_a_file_is_left_out_where_none_of_its_tests_can_be_selected(tmp_path, line, asked, left_out):
    (tmp_path / "test_it.py").write_text(line)
    config = SimpleNamespace(option=SimpleNamespace(markexpr=asked))
    assert marks.pytest_ignore_collect(tmp_path / "test_it.py", config) is left_out
