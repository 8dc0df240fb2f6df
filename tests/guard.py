"""Guard: a pytest plugin that fails a test which uses something that its marks do not name.

Only the main thread is watched: other threads may still serve an earlier test.
"""

import builtins
import multiprocessing.process
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

import pytest
from marks import LOADED, PRODUCT, marks_of_module


class Guard:
    """Notes what the running test uses without a mark for it."""

    def __init__(self) -> None:
        self.marks: set[str] | None = None
        """Marks of the running test; None while nobody watches."""
        self.noted: list[str] = []

    def note(self, mark: str, what: str) -> None:
        if self.marks is not None and mark not in self.marks and current_thread() is main_thread():
            self.noted.append(f"{what} (mark `{mark}`)")

    @contextmanager
    def off(self) -> Iterator[None]:
        """Stop watching for a while."""
        before, self.marks = self.marks, None
        try:
            yield
        finally:
            self.marks = before

    @contextmanager
    def over(self, item: pytest.Item) -> Iterator[None]:
        """Watch a test until its end, and fail it if it used what its marks do not name."""
        before = self.marks, self.noted
        self.marks, self.noted = {mark.name for mark in item.iter_markers()}, (noted := list[str]())
        try:
            yield
        finally:
            self.marks, self.noted = before
        if noted:
            pytest.fail(f"it uses {', '.join(dict.fromkeys(noted))} and no fixture of that name", pytrace=False)


GUARD = Guard()


def note_event(event: str, arguments: tuple) -> None:
    """Note processes and ports, of which Python tells its audit hooks."""
    if event == "subprocess.Popen":
        GUARD.note("process", f"the process {' '.join(map(str, arguments[1]))[:300]}")
    elif event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system"):
        GUARD.note("process", event)
    elif event == "socket.bind" and isinstance(arguments[1], tuple):
        GUARD.note("server", f"the port {arguments[1]}")


def wrap_import(load: Callable[..., object]) -> Callable[..., object]:
    """Wrap `__import__`, which a late import calls even where the module is loaded already."""

    def noting(name: str, globals=None, locals=None, fromlist=(), level=0):
        if GUARD.marks is None or level or current_thread() is not main_thread():
            return load(name, globals, locals, fromlist, level)
        if (globals or {}).get("__name__", "").split(".")[0] in PRODUCT:
            for module in (name, *(f"{name}.{part}" for part in fromlist or ())):
                for mark in marks_of_module(module) & LOADED:
                    GUARD.note(mark, f"the module {module}")
        if name in sys.modules or name.split(".")[0] in PRODUCT:
            return load(name, globals, locals, fromlist, level)
        with GUARD.off():  # a library may try a port or ask `uname` while it is loaded
            return load(name, globals, locals, fromlist, level)

    return noting


def wrap_start(start: Callable[..., None]) -> Callable[..., None]:
    """Wrap the start of a process of `multiprocessing`, of which no audit hook is told."""

    def noting(self: multiprocessing.process.BaseProcess) -> None:
        GUARD.note("process", f"the process {self.name}")
        start(self)

    return noting


def pytest_configure() -> None:
    sys.addaudithook(note_event)
    builtins.__import__ = wrap_import(builtins.__import__)
    multiprocessing.process.BaseProcess.start = wrap_start(multiprocessing.process.BaseProcess.start)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    with GUARD.over(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    with GUARD.over(item):
        return (yield)
