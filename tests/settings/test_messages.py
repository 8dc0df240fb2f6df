"""Messages: each is one line, harmless and without a secret, on the terminal and in every log."""

import json
import logging

import pytest
from nasty import NASTY

from tasks.settings.errors import BadInput
from tasks.settings.messages import EscapedLogRecord, cell, say, say_json, traceback_of, warn, without_secrets

SECRET = "http://me:hunter2@host"


@pytest.mark.parametrize("name", NASTY)
def test_each_thing_said_is_one_printable_line(capsys, name):
    say(f"a {name}", "b")
    warn(f"c {name}")
    out, err = capsys.readouterr()
    assert out.count("\n") == 2
    assert err.count("\n") == 1
    assert all(line.isprintable() for line in (out + err).split("\n"))


def test_no_secret_is_said(capsys):
    say(SECRET)
    warn(SECRET)
    assert capsys.readouterr() == ("http://***@host\n", "http://***@host\n")


@pytest.mark.parametrize("name", NASTY)
def test_json_for_programs_is_plain_ascii_and_comes_back(capsys, name):
    say_json([{"path": name}])
    out = capsys.readouterr().out
    assert all(line.isprintable() and line.isascii() for line in out.split("\n"))
    assert json.loads(out) == [{"path": name}]


@pytest.mark.parametrize("name", NASTY)
def test_a_cell_of_a_table_is_text(name):
    assert cell(name, "bold").plain.isprintable()


@pytest.mark.parametrize("name", NASTY)
def test_each_record_of_any_log_is_one_line(caplog, name):
    logging.getLogger("some.library").warning("about %s: %d of %d", name, 1, 2)
    logging.getLogger("another").error(f"about {SECRET} {name}")
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("about ") and first.endswith(": 1 of 2") and first.isprintable()
    assert second.startswith("about http://***@host") and second.isprintable()


def raise_and_catch(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_traceback_has_no_secret_and_no_line_that_looks_like_one_of_a_log():
    told = traceback_of(raise_and_catch(ValueError(f"{SECRET} \x1b[31m\n12:00:00 | INFO | promoted")))
    assert told.startswith("Traceback")
    assert told.splitlines()[-2:] == ["ValueError: http://***@host \\x1b[31m", "    12:00:00 | INFO | promoted"]


def test_the_log_has_such_a_traceback(caplog):
    logging.getLogger("some.library").error("it failed", exc_info=raise_and_catch(ValueError(f"at {SECRET}\nagain")))
    assert "Traceback" in caplog.text
    assert "hunter2" not in caplog.text
    assert "\n    again" in caplog.text


def test_an_error_that_ends_a_flow_keeps_its_kind_and_loses_its_secrets():
    with pytest.raises(ConnectionError) as ended, without_secrets():
        raise ConnectionError(7, f"unsupported {SECRET}")
    assert ended.value.args == (7, "unsupported http://***@host")
    assert str(ended.value) == "[Errno 7] unsupported http://***@host"
    with pytest.raises(FileNotFoundError) as ended, without_secrets():
        raise FileNotFoundError(2, "no such file", f"{SECRET}/a")
    assert str(ended.value) == "[Errno 2] no such file: 'http://***@host/a'"


@pytest.mark.parametrize(
    ("error", "shown"),
    [(BadInput("wrong"), False), (OSError(28, "No space left on device"), False), (ValueError("a bug"), True)],
)
def test_the_log_leaves_out_the_traceback_of_what_a_person_mends(error, shown, caplog):
    logging.getLogger("some.library").error("the step failed: %s", error, exc_info=raise_and_catch(error))
    assert f"the step failed: {error}" in caplog.text
    assert ("Traceback" in caplog.text) == shown


def test_a_record_can_be_made_without_an_error():
    assert EscapedLogRecord("a", logging.INFO, "a.py", 1, "fine", (), None).getMessage() == "fine"
    assert logging.makeLogRecord({"msg": "a\nb"}).getMessage() == "a\\nb"
