"""Watch: it announces enough new images once, whatever dies meanwhile, says what it waits for, and loads no TensorFlow for it."""

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar
from uuid import uuid4
from zlib import crc32

import httpx
import pytest
from conftest import run_folder
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectHTTPStatusError

from flows import events, form
from flows import watch as flow
from tasks.inbox.news import Announcement, read_announcements
from tasks.settings.settings import Config, FetchSettings
from tasks.storage.locks import places_lock
from tasks.storage.tables import write_rows

ROOT = Path(__file__).parents[1]


@pytest.fixture
def config(released, dataset, places, request):
    """Six new photographs and a model in use; others in each test, for equal news are one event on the server."""
    arrival = dataset({"": 3}, name="line 2", first_seed=crc32(request.node.name.encode()))
    return Config(fetch=FetchSettings(arrivals=(arrival,), settle_seconds=0), places=places.with_model("recast"))


@pytest.fixture
def look(config, capsys):
    """One look: (whether a retraining was asked for, what was printed, what was shown by its key)."""

    def run(least: int = 1, longest: float = 7.0, config: Config = config):
        shown = {}
        asked = flow.look(config, least, longest, lambda key, text: shown.update({key: text}))
        return asked, capsys.readouterr().out, shown

    return run


@pytest.fixture
def only_new_arrival(config, monkeypatch):
    """As after a run on the same source: only the arrival is new."""
    real = flow.news
    monkeypatch.setattr(flow, "news", lambda *words: real(*words)._replace(another_source=False))


def events_of(config: Config) -> list:
    """The events of new images of this test's arrival that the server knows."""
    from prefect.client.orchestration import get_client
    from prefect.events.filters import EventFilter, EventNameFilter

    with get_client(sync_client=True) as client:
        page = client.read_events(filter=EventFilter(event=EventNameFilter(name=[events.ARRIVED])), limit=50)
    return [one for one in page.events if one.payload["config"]["places"]["data"] == str(config.places.data)]


def test_too_few_are_waited_for(look, only_new_arrival, config):
    asked, said, _ = look(least=7)
    assert not asked
    assert said == "watch: new images: 6, waiting for 7\n"


def test_what_is_new_is_shown_and_told_once(look, only_new_arrival, config, prefect_server):
    asked, said, shown = look(least=6)
    assert asked
    assert said.splitlines() == [
        "watch: new images: 6, enough are 6",
        "watch: a retraining is requested",
    ]
    assert shown["arrivals"].startswith("New images: 6, enough are 6.\n\nThe model in use would pass ")
    assert "| `line 2` |" in shown["arrivals"]
    (event,) = events_of(config)
    assert event.payload["new_images"] == 6
    assert event.payload["drift"][0]["by_class"] == {"def_front": 3, "ok_front": 3}
    asked_for = Config.model_validate(event.payload["config"])
    assert asked_for.fetch.arrivals == config.fetch.arrivals
    assert asked_for.places == config.places

    asked, said, shown = look(least=6)
    assert not asked
    assert said.startswith("watch: new images: 6, enough are 6; a retraining was requested earlier; if none starts")
    assert not shown


def an_hour_later(config: Config) -> None:
    """Makes what was told an hour older: then a run must have come of it."""
    told = [
        (datetime.fromisoformat(one.announced) - timedelta(hours=1), one) for one in read_announcements(config.places)
    ]
    rows = [{**one._asdict(), "announced": then.isoformat(timespec="seconds")} for then, one in told]
    write_rows(config.places.data / "announced.csv", rows, Announcement._fields)


def test_what_no_run_came_of_is_told_again(look, only_new_arrival, config, prefect_server):
    assert look()[0]
    assert not look()[0]
    an_hour_later(config)
    asked, said, _ = look()
    assert asked
    assert said.endswith("watch: a retraining is requested: request 2 for the same images\n")
    assert not look()[0]
    assert len(read_announcements(config.places)) == 2
    assert len({event.id for event in events_of(config)}) == 2


def test_who_dies_between_the_event_and_the_note_tells_it_once(
    look, only_new_arrival, config, prefect_server, monkeypatch
):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (1, 2):
        with monkeypatch.context() as dying:
            dying.setattr(flow, "record_announcement", die)
            with pytest.raises(KeyboardInterrupt):
                look()
        assert look()[0]
        assert len(read_announcements(config.places)) == number
        assert len(events_of(config)) == number
        an_hour_later(config)


def test_where_the_notes_are_lost_it_is_told_again_later(look, only_new_arrival, config, prefect_server):
    assert look()[0]
    (config.places.data / "announced.csv").unlink()
    assert look()[0]
    assert len(events_of(config)) == 1, "the server has that one"
    an_hour_later(config)
    assert look()[0]
    assert len(events_of(config)) == 2


@pytest.fixture
def run_of_retrain(prefect_server):
    """Makes a run as the trigger would: of `retrain`, with a state and parameters."""
    from prefect import flow
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        made = []

        def make(state: str, kind: str, config: dict):
            run = client.create_flow_run(flow(lambda config: None, name="retrain"), parameters={"config": config})
            made.append(run.id)
            client.set_flow_run_state(run.id, State(type=kind, name=state), force=True)
            return run

        yield make
        for one in made:
            client.delete_flow_run(one)


def of_places(config: Config) -> dict:
    return {"places": config.places.model_dump(mode="json")}


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("Late", "SCHEDULED"),
        ("AwaitingRetry", "SCHEDULED"),
        ("AwaitingConcurrencySlot", "SCHEDULED"),
        ("Pending", "PENDING"),
        ("Running", "RUNNING"),
        ("Paused", "PAUSED"),
    ],
)
def test_while_a_run_waits_no_other_is_asked_for(look, only_new_arrival, config, run_of_retrain, state, kind):
    run = run_of_retrain(state, kind, of_places(config))
    asked, said, shown = look()
    assert not asked
    assert (
        said
        == f"watch: new images: 6, enough are 1; the run {run.name} is {state}; what it does not use is requested afterwards\n"
    )
    assert not shown
    assert read_announcements(config.places) == []
    assert events_of(config) == []


def test_a_run_whose_places_nobody_knows_may_be_the_one(look, only_new_arrival, config, run_of_retrain):
    run_of_retrain("Late", "SCHEDULED", {"places": {"data": "data"}})
    assert not look()[0]


def test_for_more_images_no_second_run_waits(look, only_new_arrival, config, run_of_retrain, photograph):
    assert look()[0]
    run_of_retrain("Late", "SCHEDULED", of_places(config))
    (config.fetch.arrivals[0] / "ok_front/another.jpeg").write_bytes(photograph(77))
    asked, said, _ = look()
    assert not asked
    assert "new images: 7, " in said
    assert "is Late" in said
    assert len(read_announcements(config.places)) == 1


def test_what_failed_or_has_other_places_is_not_waited_for(look, only_new_arrival, config, run_of_retrain, tmp_path):
    run_of_retrain("Failed", "FAILED", of_places(config))
    run_of_retrain("Cancelled", "CANCELLED", of_places(config))
    run_of_retrain("Late", "SCHEDULED", {"places": {"data": str(tmp_path / "other")}})
    assert look()[0]


def test_a_run_that_a_schedule_makes_was_asked_for_by_nobody(config):
    run = FlowRun(flow_id=uuid4(), parameters={"config": of_places(config)})
    assert flow.was_requested_for(run, config.places)
    assert not flow.was_requested_for(run.model_copy(update={"auto_scheduled": True}), config.places)


def test_an_event_that_the_server_does_not_take_is_not_noted(
    look, only_new_arrival, config, prefect_server, monkeypatch
):
    monkeypatch.setattr(events, "emit_event", lambda *_, **__: None)
    monkeypatch.setattr(events, "PATIENCE", 0.0)
    with pytest.raises(ConnectionError, match="has not taken the event"):
        look()
    assert read_announcements(config.places) == []


def test_without_a_server_it_says_what_to_do(look, only_new_arrival, config):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: None}):
        asked, said, shown = look()
    assert not asked
    assert "PREFECT_API_URL is not set; python flows/retrain.py learns from it now" in said
    assert shown
    assert read_announcements(config.places) == []


def test_while_a_run_is_under_way_nothing_is_asked(look, only_new_arrival, config):
    with places_lock(config.places):
        asked, said, _ = look()
    assert not asked
    assert "a run is under way; what it does not use is requested afterwards" in said


def test_what_a_run_leaves_that_ends_during_a_look_is_seen_by_the_next(look, only_new_arrival, config, monkeypatch):
    before = flow.champion_predictor

    def meanwhile(places):
        run = places.artifacts / "runs/20261123-000000-compact-77aa"
        run.mkdir(parents=True)
        (run / "run.json").write_text('{"config": {}}')
        (run.parent / "latest").symlink_to(run.name)
        return before(places)

    monkeypatch.setattr(flow, "champion_predictor", meanwhile)
    asked, said, shown = look()
    assert not asked
    assert said.endswith("enough are 1; a run has ended meanwhile; the next look sees what it did not use\n")
    assert "arrivals" not in shown


def test_another_source_is_enough(look):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: None}):
        _, said, _ = look(least=1_000)
    assert said.startswith("watch: the source is sample now\n")


@pytest.mark.parametrize("folder", ["unlabeled", "unlabelled"])
def test_images_without_a_label_are_listed(look, only_new_arrival, config, photograph, folder):
    waiting = config.places.data / "inbox" / folder
    waiting.mkdir(parents=True)
    (waiting / "a.jpeg").write_bytes(photograph(5))
    _, _, shown = look(least=7)
    assert "1 images of the inbox have no label" in shown["to-label"]
    assert f"`{folder}/a.jpeg`" in shown["to-label"]
    assert "to-label" not in look(least=7)[2]


def test_when_the_last_of_them_has_a_label_the_list_is_cleared(look, only_new_arrival, config, photograph):
    waiting = config.places.data / "inbox/unlabelled/a.jpeg"
    assert "to-label" not in look(least=7)[2], "there was none to clear"
    waiting.parent.mkdir(parents=True)
    waiting.write_bytes(photograph(5))
    assert "`unlabelled/a.jpeg`" in look(least=7)[2]["to-label"]
    waiting.unlink()
    assert look(least=7)[2]["to-label"] == "No image of the inbox waits for a label."
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


def test_a_damaged_model_does_not_keep_it_from_asking(look, only_new_arrival, config, prefect_server, released):
    exports, _ = released
    (config.places.artifacts / "models" / exports.digest / "decision.json").write_text("{}")
    shutil.rmtree(config.places.artifacts / "mlflow")
    asked, said, shown = look()
    assert asked
    assert "what arrives is not judged" in said
    assert "| `line 2` |" not in shown["arrivals"]


def refusal(status: int) -> PrefectHTTPStatusError:
    """As Prefect's client raises it."""
    request = httpx.Request("PATCH", "http://127.0.0.1:4200/api/deployments/1")
    answer = httpx.Response(status, json={"detail": "no such parameter"}, request=request)
    return PrefectHTTPStatusError.from_httpx_error(httpx.HTTPStatusError("422", request=request, response=answer))


def test_the_form_of_retrain_begins_as_the_last_run_that_was_not_of_the_sample(places):
    assert form.form_settings(places) is None
    run_folder(places, "1", "castings.zip", "recast")
    run_folder(places, "2", "sample", "recast-sample")
    assert form.form_settings(places) == {"config": {"fetch": {"source": "castings.zip"}}}, "of the place where it runs"
    run_folder(places, "3", "gears.zip", "gears")
    told = form.form_settings(places)
    assert Config.model_validate(told["config"]).places.registered_model == "gears"


def test_a_look_of_the_schedule_keeps_the_form_at_the_last_run(places, monkeypatch):
    class Client:
        parameters: ClassVar = {"config": {"fetch": {"source": "old.zip"}}}
        updated: ClassVar = []

        def read_deployment_by_name(self, name):
            return SimpleNamespace(id=name, parameters=self.parameters)

        def update_deployment(self, name, update):
            self.updated.append((name, update.model_dump(exclude_unset=True)))

    monkeypatch.setattr(flow, "get_client", lambda sync_client: nullcontext(Client()))
    monkeypatch.setattr(flow, "look", lambda *_: False)
    flow.watch.fn(Config(places=places))
    assert Client.updated == [], "nobody said what to learn from"
    run_folder(places, "1", "castings.zip", "recast")
    flow.watch.fn(Config(places=places))
    expected = {"config": {"fetch": {"source": "castings.zip"}}}
    assert Client.updated == [("retrain/retrain", {"parameters": expected})]
    Client.parameters = expected
    flow.watch.fn(Config(places=places))
    assert len(Client.updated) == 1


@pytest.mark.parametrize("failure", [httpx.ConnectError("gone"), refusal(422)])
def test_a_server_that_does_not_take_the_settings_of_a_form_is_told_and_stops_nothing(failure, capsys):
    def fail(_: str) -> None:
        raise failure

    form.fill_form(SimpleNamespace(read_deployment_by_name=fail), {"config": {}})
    said = capsys.readouterr().err
    assert said.startswith("the form of retrain/retrain stays as it is: ") and said.count("\n") == 1


def test_a_last_run_whose_settings_are_not_known_leaves_the_form_as_it_is(places, capsys):
    run_folder(places, "1", "castings.zip", "recast")
    file = places.artifacts / "runs/1/run.json"
    told = json.loads(file.read_text())
    told["config"]["fetch"]["unheard"] = 1
    file.write_text(json.dumps(told))
    assert form.form_settings(places) is None
    assert capsys.readouterr().err.startswith("the form of retrain/retrain stays as it is: ")


def test_what_is_learnt_from_is_that_of_the_last_run_that_was_not_of_the_sample(places, tmp_path, monkeypatch):
    """And so is the name: what is asked for concerns that registered model."""
    asked = []
    monkeypatch.setattr(flow, "news", lambda fetch, places: asked.append((fetch.source, places)) or pytest.fail("seen"))
    run_folder(places, "1", "castings.zip", "recast")
    run_folder(places, "2", "sample", "recast-sample")
    for given in (None, "recast-sample"):
        with pytest.raises(pytest.fail.Exception, match="seen"):
            flow.look(Config(places=places.with_model(given)), 1, 7, print)
    assert asked == [("castings.zip", places.with_model("recast")), ("sample", places.with_model("recast-sample"))]


def test_a_product_that_was_named_is_found_with_its_model(places, monkeypatch):
    asked = []
    monkeypatch.setattr(
        flow, "news", lambda fetch, places: asked.append((fetch.product, places)) or pytest.fail("seen")
    )
    run_folder(places, "1", "castings.zip", "recast")
    run_folder(places, "2", "tiles.zip", "recast-magnetic-tile", product="magnetic tile")
    with pytest.raises(pytest.fail.Exception, match="seen"):
        flow.look(Config(places=places), 1, 7, print)
    assert asked == [("magnetic tile", places.with_model("recast-magnetic-tile"))]
    assert form.form_settings(places) == {"config": {"fetch": {"source": "tiles.zip", "product": "magnetic tile"}}}


def test_where_nobody_said_what_to_learn_from_nothing_is_asked(places, capsys):
    assert not flow.look(Config(places=places), 1, 7, print)
    assert "there was no run in" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", '{"config": {"tr', "null", "{}"])
def test_a_damaged_run_is_told_once_and_ends_no_loop(places, monkeypatch, capsys, content):
    run = places.artifacts / "runs/20261130-120000-compact-aaaa"
    run.mkdir(parents=True)
    (run / "run.json").write_text(content)
    (run.parent / "latest").symlink_to(run.name)
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(flow.time, "sleep", sleep)
    monkeypatch.setattr(
        sys, "argv", ["watch.py", "--every", "7", "--data", str(places.data), "--artifacts", str(places.artifacts)]
    )
    with pytest.raises(KeyboardInterrupt):
        flow.main()
    assert looks == [7.0] * 3
    said, error = capsys.readouterr()
    assert said.count("watch: there was no run in ") == 3
    assert error.count("\n") == 1
    assert error.startswith(f"{run / 'run.json'} cannot be read, and the run is passed over: ")
    assert "Restore it from a backup, or remove the folder" in error
