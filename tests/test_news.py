"""News: told by content against what the last run used; never what it knows, refused or was told to leave out."""

import shutil
from dataclasses import replace

import pytest

from tasks.runs.config import Places
from tasks.runs.outcome import write_run
from tasks.sources.news import Announcement, announced, last_used, news, remember

pytestmark = pytest.mark.slow


@pytest.fixture
def ran(outcome, tmp_path):
    """(settings of where images come from, places) after a run; the data of the places are the test's own."""
    write_run(outcome, "a page")
    places = Places(data=tmp_path / "data", artifacts=outcome.config.places.artifacts)
    places.data.mkdir()
    return outcome.config.fetch, places


@pytest.fixture
def look(ran, dataset):
    """What is new when these files, {"CLASS/NAME": content}, lie in a second arrival."""
    fetch, places = ran
    (old,) = fetch.arrivals

    def run(files: dict[str, bytes]):
        for name, content in files.items():
            path = places.data.parent / "line 3" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return news(fetch.model_copy(update={"arrivals": (old, places.data.parent / "line 3")}), places)

    return run


def test_nothing_is_new_after_a_run(ran):
    found = news(*ran)
    assert not found.another_source
    assert found.images == ()
    assert found.due(1, 0) is None


def test_an_image_that_no_run_has_used_is_new(look, photograph):
    found = look({"ok_front/a.jpeg": photograph(901), "def_front/b.jpeg": photograph(902, hole=True)})
    assert {(one.origin, one.path.name, one.label) for one in found.images} == {
        ("line 3", "a.jpeg", "ok_front"),
        ("line 3", "b.jpeg", "def_front"),
    }


def test_known_content_under_another_name_is_not_new(look, ran, photograph):
    (old,) = ran[0].arrivals
    known = (old / "ok_front/cast_1.jpeg").read_bytes()
    found = look(
        {"ok_front/again.jpeg": known, "ok_front/a.jpeg": photograph(901), "ok_front/twice.jpeg": photograph(901)}
    )
    assert [one.path.name for one in found.images] == ["a.jpeg"]


def test_what_was_refused_is_not_new(look, photograph):
    assert look({"ok_front/broken.jpeg": photograph(999)[:-2]}).images == ()


def test_another_label_is_new(look, ran):
    (old,) = ran[0].arrivals
    found = look({"def_front/mended.jpeg": (old / "ok_front/cast_1.jpeg").read_bytes()})
    assert [one.label for one in found.images] == ["def_front"]


def test_what_the_user_withdrew_is_not_new(look, ran, photograph):
    wanted = look({"ok_front/a.jpeg": photograph(901)}).images[0].sha256
    (ran[1].data / "corrections.csv").write_text(f"sha256,correction,why\n{wanted},exclude,a hand in the picture\n")
    assert look({}).images == ()


def test_a_corrected_label_is_the_one_that_counts(look, ran, photograph):
    wanted = look({"ok_front/a.jpeg": photograph(901)}).images[0].sha256
    (ran[1].data / "corrections.csv").write_text(f"sha256,correction,why\n{wanted},def_front,a crack\n")
    assert [one.label for one in look({}).images] == ["def_front"]


def test_another_source_is_news(ran, dataset):
    fetch, places = ran
    other = dataset({"train": 6, "test": 2}, name="others", first_seed=700)
    found = news(fetch.model_copy(update={"source": str(other)}), places)
    assert found.another_source
    assert found.due(1_000, 1e9) == "the source is others now"


def test_before_the_first_run_all_is_new(ran):
    fetch, places = ran
    found = news(fetch, Places(data=places.data, artifacts=places.artifacts / "none"))
    assert found.another_source
    assert len(found.images) == 6


def test_few_images_are_enough_when_they_have_waited(look, photograph):
    found = look({"ok_front/a.jpeg": photograph(901)})
    assert found.due(2, 3_600) is None
    assert found.due(1, 3_600) == "new images: 1, enough are 1"
    day = 86_400
    assert found.due(2, 7 * day, now=found.since + 7 * day - 1) is None
    assert found.due(2, 7 * day, now=found.since + 7.2 * day).endswith(
        "the oldest has waited for 7.2 days, enough are 7"
    )


def test_the_digest_is_of_the_content_and_the_labels_alone(look, ran, photograph):
    first = look({"ok_front/a.jpeg": photograph(901)})
    shutil.move(ran[1].data.parent / "line 3/ok_front/a.jpeg", ran[1].data.parent / "line 3/ok_front/z.jpeg")
    assert look({}).digest == first.digest
    assert look({"ok_front/b.jpeg": photograph(903)}).digest != first.digest
    assert replace_label(first).digest != first.digest


def replace_label(found):
    return found._replace(images=tuple(one._replace(label="def_front") for one in found.images))


def test_what_was_told_is_noted_and_nothing_before_it_is_lost(ran):
    fetch, places = ran
    found = news(fetch, places)
    assert announced(places) == []
    remember(found, "a reason, with a comma", places)
    remember(found._replace(since=1.0), "another", places)
    told = announced(places)
    assert [(one.digest, one.why) for one in told] == [
        (found.digest, "a reason, with a comma"),
        (found.digest, "another"),
    ]
    assert all(isinstance(one, Announcement) and one.announced.startswith("20") for one in told)


def test_the_last_run_is_the_one_that_counts(ran, outcome):
    _, places = ran
    before = last_used(places)
    later = replace(outcome, run_id="20261123-000000-compact-77aa", splits=outcome.splits)
    write_run(later, "a page")
    assert last_used(places) == before
    assert last_used(Places(artifacts=places.artifacts / "none")).source is None
