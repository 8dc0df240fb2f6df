"""Last run: a setting that nobody gives is that of the last run, and a setting that is given holds, in part of a section too."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import run_folder

from flows.watch import WatchArguments
from tasks.pipeline import last_run as noun
from tasks.pipeline.last_run import (
    last_config,
    last_run,
    model_of,
    read_run,
    registered_models,
    resolve_model,
    with_absolute_paths,
    with_last_settings,
)
from tasks.reporting.run_folder import write_run
from tasks.settings.cli import parse
from tasks.settings.errors import BadInput
from tasks.settings.settings import (
    Config,
    FetchSettings,
    Places,
    SampleSettings,
    SplitSettings,
    TrainingSettings,
    default_model,
)
from tasks.tracking.registry import Version


@pytest.fixture
def last(outcome):
    """The settings of a run, most of which are not the defaults."""
    settings = outcome.config.model_copy(
        update={
            "training": TrainingSettings(model="compact", epochs=7, seed=3),
            "fetch": outcome.config.fetch.model_copy(update={"sample": SampleSettings(parts=60, seed=5)}),
        }
    )
    write_config(settings, write_run(outcome, "a page"))
    return settings


def write_config(config: Config, folder: Path) -> None:
    told = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**told, "config": config.model_dump(mode="json")}))


def test_settings_that_are_not_given_are_those_of_the_last_run(last):
    found = with_last_settings(Config(places=last.places))
    assert found == last.model_copy(
        update={"training": last.training.model_copy(update={"start_from": "champion"})},
    )


def test_one_setting_of_a_section_leaves_the_others_as_they_were(last):
    asked = Config.model_validate(
        {"places": last.places, "training": {"epochs": 2}, "fetch": {"sample": {"parts": 90}}}
    )
    found = with_last_settings(asked)
    assert found.training == TrainingSettings(model="compact", epochs=2, seed=3, start_from="champion")
    assert found.fetch == last.fetch.model_copy(update={"sample": SampleSettings(parts=90, seed=5)})
    assert found.splitting == last.splitting


def test_so_it_is_from_the_command_line(last):
    places = ["--data", str(last.places.data), "--artifacts", str(last.places.artifacts)]
    words = ["--once", "--seed", "9", "--source", "sample", "--training.start_from", "scratch", *places]
    asked = parse(WatchArguments, words)
    found = with_last_settings(Config(**{name: getattr(asked, name) for name in ("fetch", "training", "places")}))
    assert found.training == TrainingSettings(model="compact", epochs=7, seed=9, start_from="scratch")
    assert found.fetch == last.fetch.model_copy(update={"source": "sample"})
    assert found.places == last.places


def test_a_setting_that_is_given_holds_though_it_is_the_default(last):
    assert with_last_settings(Config(places=last.places, training=TrainingSettings(seed=0))).training.seed == 0


def test_the_places_are_those_of_now(last, tmp_path):
    moved = last.places.artifacts.rename(tmp_path / "moved")
    places = Places(data=tmp_path / "elsewhere", artifacts=moved)
    assert with_last_settings(Config(places=places)).places == places


def test_what_does_not_go_with_the_last_run_is_told(last):
    asked = Config(places=last.places, training=TrainingSettings(model="ring"))
    write_config(
        last.model_copy(update={"training": TrainingSettings(model="compact", image_size=75)}), last_run(last.places)
    )
    with pytest.raises(BadInput, match="does not go with the settings of the last run.*image_size is 75"):
        with_last_settings(asked)


def test_before_the_first_run_a_source_must_be_named(places):
    assert last_run(places) is None
    assert with_last_settings(Config(places=places, training=TrainingSettings(epochs=3))) is None
    found = with_last_settings(Config(places=places, fetch=FetchSettings()))
    assert found == Config(places=places, training=TrainingSettings(start_from="champion"))


def test_a_setting_that_is_none_any_more_is_told(outcome):
    folder = write_run(outcome, "a page")
    told = json.loads((folder / "run.json").read_text())
    told["config"]["training"]["magic"] = 1
    (folder / "run.json").write_text(json.dumps(told))
    with pytest.raises(BadInput, match="a setting that no longer exists, training.magic"):
        with_last_settings(Config(places=outcome.config.places))


def test_a_worker_elsewhere_is_told_whole_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("castings").mkdir()
    found = with_absolute_paths(Config(fetch=FetchSettings(source="castings", arrivals=(Path("line 2"),))))
    assert found.fetch.source == str(tmp_path / "castings")
    assert found.fetch.arrivals == (tmp_path / "line 2",)
    assert found.places == Places(data=tmp_path / "data", artifacts=tmp_path / "artifacts")
    assert with_absolute_paths(Config()).fetch.source == "sample"
    Path("parts.csv").write_text("path,part\n")
    for parts, expected in (
        ("parts.csv", str(tmp_path / "parts.csv")),
        ("(tile_[0-9]+)", "(tile_[0-9]+)"),
        (None, None),
    ):
        assert with_absolute_paths(Config(splitting=SplitSettings(parts=parts))).splitting.parts == expected


def test_a_run_of_the_sample_is_the_last_one_where_there_is_no_other(places):
    toy = run_folder(places, "1", "sample", "recast-sample")
    assert last_run(places) == toy
    plant = run_folder(places, "2", "castings.zip", "recast")
    assert last_run(places) == plant
    run_folder(places, "3", "sample", "recast-sample")
    assert last_run(places) == plant
    assert with_last_settings(Config(places=places)).fetch.source == "castings.zip"


def test_the_run_that_ended_last_counts_whatever_the_clock_said_when_it_began(places):
    run_folder(places, "2099", "old.zip", "recast")
    new = run_folder(places, "2026", "new.zip", "recast")
    assert last_run(places) == new


def test_of_a_named_model_its_own_runs_count(places):
    gears = run_folder(places, "1", "gears.zip", "gears")
    plant = run_folder(places, "2", "castings.zip", "recast")
    toy = run_folder(places, "3", "sample", "recast-sample")
    expected = {"gears": gears, "recast": plant, "recast-sample": toy, "wheels": None}
    assert {name: last_run(places.with_model(name)) for name in expected} == expected
    assert registered_models(places.with_model("wheels")) == [
        "gears",
        "recast",
        "recast-sample",
        "recast-sample-tiles",
        "wheels",
    ]


def test_a_name_that_was_given_is_kept_and_one_that_follows_from_the_source_follows_it(places):
    run_folder(places, "1", "castings.zip", "recast")
    assert with_last_settings(Config(places=places)).with_model().places.registered_model == "recast"
    other = Config(places=places, fetch=FetchSettings(source="sample"))
    assert with_last_settings(other).with_model().places.registered_model == "recast-sample"
    run_folder(places, "2", "gears.zip", "gears")
    assert with_last_settings(Config(places=places)).with_model().places.registered_model == "gears"
    assert with_last_settings(other).with_model().places.registered_model == "recast-sample"
    assert with_last_settings(Config(places=places.with_model("recast"))).fetch.source == "castings.zip"


def test_the_model_of_a_product_is_that_of_its_last_run(places):
    run_folder(places, "1", "castings.zip", "recast")
    run_folder(places, "2", "tiles.zip", "recast-magnetic-tile", product="magnetic tile")
    assert resolve_model(places) == places.with_model("recast-magnetic-tile")
    again = with_last_settings(Config(places=places))
    assert again.fetch.product == "magnetic tile"
    assert again.places.registered_model is None, "it follows from the product"
    assert again.with_model().places.registered_model == "recast-magnetic-tile"
    other = Config(places=places, fetch=FetchSettings(source="gears.zip", product="gear"))
    assert with_last_settings(other).with_model().places.registered_model == "recast-gear"
    run_folder(places, "3", "tiles.zip", "tiles", product="magnetic tile")
    assert with_last_settings(Config(places=places)).with_model().places.registered_model == "tiles"
    assert with_last_settings(other).with_model().places.registered_model == "recast-gear"


def test_a_run_of_the_sample_from_before_it_had_a_name_of_its_own_keeps_its_name(places):
    run_folder(places, "1", "sample", "recast")
    assert with_last_settings(Config(places=places)).with_model().places.registered_model == "recast"


@pytest.mark.parametrize(
    "text", ["", '{"config": {"fet', "null", "[]", '{"config": {"places": {"registered_model": "a\'b"}}}']
)
def test_a_run_that_cannot_be_read_is_named_and_passed_over(places, capsys, text):
    whole = run_folder(places, "1", "castings.zip", "recast")
    (run_folder(places, "2", "castings.zip", "recast") / "run.json").write_text(text)
    assert last_run(places) == whole
    said = capsys.readouterr()
    assert said.out == "", "where JSON may be asked for"
    assert f"{places.artifacts / 'runs/2/run.json'} cannot be read, and the run is passed over: " in said.err


@pytest.mark.parametrize("config", [{"fetch": "a"}, {"places": [1]}, {"places": {"registered_model": "a'b"}}])
def test_a_run_whose_settings_are_of_another_shape_is_bad_input(places, config):
    run = run_folder(places, "1", "castings.zip", "recast")
    (run / "run.json").write_text(json.dumps({"config": config}))
    with pytest.raises(BadInput, match=r"run\.json is damaged .*Restore it from a backup"):
        read_run(run)


def test_a_command_means_the_model_of_the_last_run_that_was_not_of_the_sample(places, monkeypatch):
    monkeypatch.setattr(noun.registry, "champion", lambda _: pytest.fail("the runs tell"))
    run_folder(places, "1", "gears.zip", "gears")
    run_folder(places, "2", "sample", "recast-sample")
    assert resolve_model(places) == places.with_model("gears")
    assert resolve_model(places.with_model("recast-sample")) == places.with_model("recast-sample")


@pytest.mark.parametrize(
    ("toys", "in_use", "model"),
    [
        ([], {}, "recast"),
        ([], {"recast": "elsewhere"}, "recast"),
        ([], {"recast": "elsewhere", "recast-sample": "elsewhere"}, "recast"),
        (["1"], {"recast-sample": "1"}, "recast-sample"),
        (["1"], {"recast": "elsewhere", "recast-sample": "1"}, "recast"),
        (["1"], {"recast": "1"}, "recast"),
        (["1", "2"], {"recast": "1", "recast-sample": "2"}, "recast-sample"),
    ],
    ids=[
        "nothing",
        "judges alone",
        "judges alone beside both",
        "tried",
        "tried beside a plant's server",
        "old",
        "old and new",
    ],
)
def test_without_such_a_run_a_command_means_what_is_in_use(places, monkeypatch, toys, in_use, model):
    def champion(of: Places) -> Version | None:
        run = in_use.get(of.registered_name)
        return run and Version(number=1, model="ab", run_id=run, reason="", champion_before=None, tracked="")

    monkeypatch.setattr(noun.registry, "champion", champion)
    for name in toys:
        run_folder(places, name, "sample", "recast-sample")
    assert resolve_model(places).registered_name == model


@pytest.mark.parametrize("sources", [["sample", "sample:tiles"], ["sample:tiles", "sample"]])
def test_of_two_samples_a_command_means_the_one_that_was_drawn_last(places, monkeypatch, sources):
    def champion(of: Places) -> Version | None:
        drawn = of.registered_name != "recast"
        return Version(number=1, model="ab", run_id="0", reason="", champion_before=None, tracked="") if drawn else None

    monkeypatch.setattr(noun.registry, "champion", champion)
    for name, source in enumerate(sources):
        run_folder(places, str(name), source, default_model(source))
    assert resolve_model(places).registered_name == default_model(sources[-1])
    assert {"recast", "recast-sample", "recast-sample-tiles"} <= set(registered_models(places))


def test_another_sample_takes_neither_the_numbers_nor_the_model_of_the_last(places):
    run_folder(places, "1", "sample", "toys")
    tiles = with_last_settings(Config(places=places, fetch=FetchSettings(source="sample:tiles"))).with_model()
    assert tiles.places.registered_model == "recast-sample-tiles"
    assert tiles.fetch.tiles == FetchSettings().tiles


DAMAGED = {
    "empty": b"",
    "cut": b'{"config": {"training',
    "null": b"null",
    "list": b"[]",
    "other object": b'{"config": [], "model": 5}',
    "not UTF-8": b"\xff\xfe{}",
    "nested": b"[" * 100_000,
}


@pytest.fixture
def make_run_folder(places):
    """Makes the folder of a run as far as it is read here, and lets `latest` name it."""

    def make(name: str, content: bytes) -> Path:
        run = places.artifacts / "runs" / name
        run.mkdir(parents=True)
        (run / "run.json").write_bytes(content)
        (run.parent / "latest").unlink(missing_ok=True)
        (run.parent / "latest").symlink_to(name)
        return run

    return make


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_run_is_told_with_the_way_out_and_the_one_before_it_counts(make_run_folder, places, content, capsys):
    earlier = json.dumps({"config": {"training": {"seed": 7}}}).encode()
    make_run_folder("20261122-120000-compact-aaaa", earlier)
    run = make_run_folder("20261123-120000-compact-bbbb", content)
    wanted = r"run\.json is damaged.*Restore it from a backup, or remove the folder"
    with pytest.raises(BadInput, match=wanted):
        model_of(run)
    assert last_config(places).training.seed == with_last_settings(Config(places=places)).training.seed == 7
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(wanted, said) and str(run) in said
    shutil.rmtree(run)
    assert last_config(places).training.seed == 7, "`latest` names nothing now"


def test_where_all_runs_are_gone_there_was_none(make_run_folder, places):
    shutil.rmtree(make_run_folder("20261123-120000-compact-bbbb", b"{}"))
    assert last_run(places) is None
    assert with_last_settings(Config(places=places)) is None


@pytest.mark.parametrize("folder", ["null", '""', "5", '"../../elsewhere"', "[]"])
def test_a_run_that_names_no_model_is_told(make_run_folder, folder):
    run = make_run_folder("20261123-120000-compact-bbbb", f'{{"model": {{"folder": {folder}}}}}'.encode())
    with pytest.raises(BadInput, match="expected the digest of a folder|model.folder: Input should be a valid string"):
        model_of(run)
