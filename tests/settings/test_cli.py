"""Command line: every flat name works, an error takes one line, and scripts can read the exit status."""

import sys
from pathlib import Path

import pytest

from tasks.settings.cli import SHORT, Arguments, RetrainArguments, exit_status, parse
from tasks.settings.errors import BadInput
from tasks.settings.settings import Config, Places


class OtherArguments(Arguments):
    """As the other flows have them."""

    as_json: bool = False
    as_list: bool = False
    keep_runs: int = 20
    dry_run: bool = False
    draw_study: bool = False
    replace_study: bool = False
    min_new_images: int = 20
    max_wait_days: float = 7
    places: Places = Places()


def value_of(settings: object, dotted: str) -> object:
    for name in dotted.split("."):
        settings = getattr(settings, name)
    return settings


GIVEN = {
    "fetch.source": ("--source parts.zip", "parts.zip"),
    "fetch.product": ("--product gear", "gear"),
    "fetch.arrivals": ("--arrivals a --arrivals b/c", (Path("a"), Path("b/c"))),
    "fetch.classes.defect": ("--defect bad,cracked", ("bad", "cracked")),
    "fetch.classes.good": ("--good fine", "fine"),
    "splitting.parts": ("--parts (tile_[0-9]+)", "(tile_[0-9]+)"),
    "splitting.protocol": ("--protocol grouped", "grouped"),
    "training.model": ("--model tutorial", "tutorial"),
    "training.epochs": ("--epochs 3", 3),
    "training.seed": ("--seed 11", 11),
    "training.image_size": ("--image-size 64", 64),
    "training.require_gpu": ("--require-gpu", True),
    "as_json": ("--json", True),
    "as_list": ("--list", True),
    "keep_runs": ("--keep-runs 3", 3),
    "dry_run": ("--dry-run", True),
    "draw_study": ("--draw-study", True),
    "replace_study": ("--replace-study", True),
    "min_new_images": ("--min-new-images 5", 5),
    "max_wait_days": ("--max-wait-days 0.5", 0.5),
    "places.data": ("--data here/data", Path("here/data")),
    "places.artifacts": ("--artifacts=there", Path("there")),
}


ELSEWHERE = OtherArguments.model_fields.keys() - {"places"}


@pytest.mark.parametrize("dotted", SHORT)
def test_every_flat_name_sets_its_setting_and_no_other(dotted):
    words, value = GIVEN[dotted]
    kind = OtherArguments if dotted in ELSEWHERE else RetrainArguments
    parsed, untouched = parse(kind, words.split()), parse(kind, [])
    assert value_of(parsed, dotted) == value
    assert value_of(untouched, dotted) != value
    for other in SHORT.keys() - {dotted}:
        if kind is RetrainArguments and other not in ELSEWHERE:
            assert value_of(parsed, other) == value_of(untouched, other)


@pytest.mark.parametrize("dotted", sorted(SHORT.keys() - ELSEWHERE))
def test_the_long_name_does_the_same(dotted):
    flat, value = GIVEN[dotted]
    words = flat.replace(f"--{SHORT[dotted]}", f"--{dotted}").split()
    assert value_of(parse(RetrainArguments, words), dotted) == value


def test_without_words_the_settings_are_the_defaults():
    assert Config.model_validate(parse(RetrainArguments, []).model_dump()) == Config()


def test_settings_without_a_flat_name_have_their_long_one():
    parsed = parse(RetrainArguments, ["--acceptance.max_escape_rate", "0.2", "--fetch.sample.parts", "12"])
    assert parsed.acceptance.max_escape_rate == 0.2
    assert parsed.fetch.sample.parts == 12


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--epoch 3", "unrecognized arguments: --epoch 3; --help shows what there is"),
        ("parts.zip", "unrecognized arguments: parts.zip; --help shows what there is"),
        ("--source", "argument --fetch.source/--source: expected one argument; --help shows what there is"),
        ("--epochs 0", "--epochs 0: input should be greater than or equal to 1"),
        (
            "--epochs many",
            "--epochs many: input should be a valid integer, unable to parse string as an integer",
        ),
        ("--protocol best", "--protocol best: input should be 'cleaned', 'published' or 'grouped'"),
        ("--defect a --good a", "both classes are called 'a': name the class folders with --defect and --good"),
        (
            "--product a|b",
            "product is 'a|b': a noun in the singular is expected, at most 40 letters and digits, with single spaces or hyphens "
            "between them, such as casting or magnetic tile",
        ),
        (
            "--model tutorial --image-size 128",
            "image_size is 128, but the tutorial model is made for images 300 pixels wide: leave image_size out, or take --model patch",
        ),
    ],
    ids=[
        "option",
        "stray word",
        "no value",
        "bound",
        "type",
        "choice",
        "classes",
        "product",
        "tutorial with another size",
    ],
)
def test_what_is_wrong_is_told_in_one_line(capsys, words, line):
    assert exit_status(lambda: parse(RetrainArguments, words.split())) == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")


def test_an_empty_source_is_not_the_current_folder():
    with pytest.raises(BadInput, match=r"--source : string should have at least 1 character"):
        parse(RetrainArguments, ["--source", ""])


def test_the_environment_changes_nothing(monkeypatch):
    for name in ("SOURCE", "FETCH__SOURCE", "FETCH.SOURCE", "fetch.source", "RECAST_FETCH__SOURCE", "RECAST_SOURCE"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("TRAINING", '{"epochs": 3}')
    monkeypatch.setenv("PLACES", '{"data": "elsewhere"}')
    assert parse(RetrainArguments, []).model_dump() == Config().model_dump()


def test_nor_do_the_words_of_this_process(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["retrain.py", "--epochs", "3"])
    assert parse(RetrainArguments, []).training.epochs is None


def test_the_help_shows_every_flat_name(capsys):
    with pytest.raises(SystemExit) as end:
        parse(RetrainArguments, ["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for dotted, flat in SHORT.items():
        if dotted not in ELSEWHERE:
            assert f"--{flat}" in shown
    assert "Passes over the training images" in shown


def make_failing(error: BaseException):
    def action() -> None:
        raise error

    return action


def test_work_that_was_done_ends_with_0(capsys):
    assert exit_status(lambda: "any result") == 0
    assert capsys.readouterr() == ("", "")


def test_bad_input_ends_with_2_and_one_line(capsys):
    assert exit_status(make_failing(BadInput("two\nlines of  text"))) == 2
    assert capsys.readouterr() == ("", "error: two lines of text\n")


def test_a_network_that_is_down_ends_with_1_and_one_line(capsys):
    assert exit_status(make_failing(ConnectionError("Kaggle does not answer"))) == 1
    assert capsys.readouterr() == ("", "error: Kaggle does not answer; try again later\n")


def test_an_interrupted_run_ends_with_1(capsys):
    assert exit_status(make_failing(KeyboardInterrupt())) == 1
    assert capsys.readouterr().err == "interrupted; what was finished is kept\n"


def test_anything_else_ends_with_1_and_a_traceback(capsys):
    assert exit_status(make_failing(ZeroDivisionError("a bug"))) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith("ZeroDivisionError: a bug\n")
