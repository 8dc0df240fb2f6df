"""Watch: tells what is enough, once, whoever dies when; says what it waits for; and needs no TensorFlow for it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import pytest

from flows import watch as flow
from tasks.runs.config import Config, Fetch, Training
from tasks.runs.errors import BadInput
from tasks.runs.outcome import write_run
from tasks.runs.retention import using
from tasks.sources.news import announced

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture
def config(released, dataset, places, request):
    """Six new photographs and a model in use; others in each test, for equal news are one event on the server."""
    arrival = dataset({"": 3}, name="line 2", first_seed=crc32(request.node.name.encode()))
    return Config(fetch=Fetch(arrivals=(arrival,), settle_seconds=0), places=places)


@pytest.fixture
def look(config, capsys):
    """One look: (whether a retraining was asked for, what was printed, what was shown by its key)."""

    def run(least: int = 1, longest: float = 7.0, config: Config = config):
        shown = {}
        asked = flow.look(config, least, longest, lambda key, text: shown.update({key: text}))
        return asked, capsys.readouterr().out, shown

    return run


@pytest.fixture
def settled(config, monkeypatch):
    """As after a run on the same source: only the arrival is new."""
    real = flow.news
    monkeypatch.setattr(flow, "news", lambda *words: real(*words)._replace(another_source=False))


def sent(config: Config) -> list:
    """The events of new images of this test's arrival that the server knows."""
    from prefect.client.orchestration import get_client
    from prefect.events.filters import EventFilter, EventNameFilter

    with get_client(sync_client=True) as client:
        page = client.read_events(filter=EventFilter(event=EventNameFilter(name=[flow.EVENT])), limit=50)
    return [one for one in page.events if one.payload["config"]["places"]["data"] == str(config.places.data)]


def test_too_few_are_waited_for(look, settled, config):
    asked, said, _ = look(least=7)
    assert not asked
    assert said == "watch: new images: 6, waiting for 7\n"


def test_what_is_new_is_shown_and_told_once(look, settled, config, prefect_server):
    asked, said, shown = look(least=6)
    assert asked
    assert said.splitlines() == [
        "watch: new images: 6, enough are 6",
        "watch: a retraining is asked for",
    ]
    assert shown["arrivals"].startswith("New images: 6, enough are 6.\n\nThe model in use would pass ")
    assert "| `line 2` |" in shown["arrivals"]
    (event,) = sent(config)
    assert event.payload["new_images"] == 6
    assert event.payload["drift"][0]["by_class"] == {"def_front": 3, "ok_front": 3}
    asked_for = Config.model_validate(event.payload["config"])
    assert asked_for.fetch.arrivals == config.fetch.arrivals
    assert asked_for.places == config.places

    assert look(least=6) == (
        False,
        "watch: new images: 6, enough are 6; a retraining was asked for before\n",
        {},
    )
    (config.places.data / "announced.csv").unlink()  # as if it had died between the event and the note
    assert look(least=6)[0]
    assert len(sent(config)) == 1
    assert len(announced(config.places)) == 1


def test_an_event_that_the_server_does_not_take_is_not_noted(look, settled, config, prefect_server, monkeypatch):
    monkeypatch.setattr(flow, "emit_event", lambda *_, **__: None)
    monkeypatch.setattr(flow, "PATIENCE", 0.0)
    with pytest.raises(ConnectionError, match="has not taken the event"):
        look()
    assert announced(config.places) == []


def test_without_a_server_it_says_what_to_do(look, settled, config):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: None}):
        asked, said, shown = look()
    assert not asked
    assert "PREFECT_API_URL is not set; python flows/retrain.py learns from it now" in said
    assert shown
    assert announced(config.places) == []


def test_while_a_run_is_under_way_nothing_is_asked(look, settled, config):
    with using(config.places):
        asked, said, _ = look()
    assert not asked
    assert "a run is under way, and what it leaves is asked for after it" in said


def test_another_source_is_enough(look):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: None}):
        _, said, _ = look(least=1_000)
    assert said.startswith("watch: the source is sample now\n")


def test_images_without_a_label_are_listed(look, settled, config, photograph):
    waiting = config.places.data / "inbox/unlabelled"
    waiting.mkdir(parents=True)
    (waiting / "a.jpeg").write_bytes(photograph(5))
    _, _, shown = look(least=7)
    assert "1 images of the inbox have no label" in shown["to-label"]
    assert "`unlabelled/a.jpeg`" in shown["to-label"]
    assert "to-label" not in look(least=7)[2]


def test_a_command_that_looks_once(config, places, tmp_path):
    words = ["--once", "--min-new-images", "7", "--source", "sample", "--arrivals", str(config.fetch.arrivals[0])]
    words = [*words, "--fetch.settle_seconds", "0", "--data", str(places.data), "--artifacts", str(places.artifacts)]
    code = (
        f"import sys; sys.argv = ['watch.py', *{words!r}]\n"
        "from flows import watch; watch.main()\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "the source is sample now" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_damaged_model_does_not_keep_it_from_asking(look, settled, config, prefect_server, released):
    exports, _ = released
    (config.places.artifacts / "models" / exports.digest / "decision.json").write_text("{}")
    shutil.rmtree(config.places.artifacts / "mlflow")
    asked, said, shown = look()
    assert asked
    assert "what arrives is not judged" in said
    assert "| `line 2` |" not in shown["arrivals"]


def test_settings_that_are_not_given_are_those_of_the_last_run(outcome):
    write_run(outcome, "a page")
    places = outcome.config.places
    found = flow.as_last_time(Config(places=places))
    assert found.fetch == outcome.config.fetch
    assert found.splitting == outcome.config.splitting
    assert found.training == outcome.config.training.model_copy(update={"start_from": "champion"})
    own = Config(places=places, training=Training(epochs=3))
    assert flow.as_last_time(own).training == own.training
    assert flow.as_last_time(own).fetch == outcome.config.fetch


def test_where_nobody_said_what_to_learn_from_nothing_is_asked(places, capsys):
    assert not flow.look(Config(places=places), 1, 7, print)
    assert "there was no run in" in capsys.readouterr().out
    assert flow.as_last_time(Config(places=places, fetch=Fetch())) is not None


def test_a_setting_that_is_none_any_more_is_told(outcome):
    folder = write_run(outcome, "a page")
    told = json.loads((folder / "run.json").read_text())
    told["config"]["training"]["magic"] = 1
    (folder / "run.json").write_text(json.dumps(told))
    with pytest.raises(BadInput, match="a setting that is none any more, training.magic"):
        flow.as_last_time(Config(places=outcome.config.places))
