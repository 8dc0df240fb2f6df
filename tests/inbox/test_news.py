"""News: told by content against what the last run used; never what it knows, refused or was told to leave out."""

import hashlib
import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.inbox import news as noun
from tasks.inbox.news import (
    Announcement,
    WaitingImage,
    announcements_of,
    last_used,
    news,
    postponed_until,
    read_announcements,
    record_announcement,
    retry_after,
)
from tasks.reporting.run_folder import write_run
from tasks.settings.settings import Places
from tasks.storage.tables import read_state

DAY = 86_400  # seconds


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
    assert found.reason_to_retrain(1, 0) is None


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


@pytest.fixture
def own(ran, tmp_path):
    """As `ran`, with a copy of the arrival that a test may change."""
    fetch, places = ran
    shutil.copytree(fetch.arrivals[0], tmp_path / "line 2")
    return fetch.model_copy(update={"arrivals": (tmp_path / "line 2",)}), places


def test_another_label_is_new(own):
    (folder,) = own[0].arrivals
    shutil.move(folder / "ok_front/cast_1.jpeg", folder / "def_front/mended.jpeg")
    assert [(one.path.name, one.label) for one in news(*own).images] == [("mended.jpeg", "def_front")]


def refused_last_time(places, sha256: str, code: str) -> None:
    with open(places.artifacts / "runs/latest/quarantine.csv", "a") as table:
        table.write(f"a.jpeg,{sha256},line 3,{code},a reason\n")


def correct(places, *lines: str) -> None:
    (places.data / "corrections.csv").write_text("\n".join(["sha256,correction,why", *lines]))


@pytest.mark.parametrize("earlier", ["the source", "an arrival", "the same arrival"])
@pytest.mark.parametrize("known", [True, False], ids=["as the last run said", "seen for the first time"])
def test_what_contradicts_an_earlier_label_is_not_new_before_that_is_decided(
    look, ran, capsys, photograph, earlier, known
):
    fetch, places = ran
    one = photograph(901)
    if earlier == "the source":
        one = (Path(fetch.source) / "train/def_front/cast_0.jpeg").read_bytes()
    elif earlier == "an arrival":
        one = (fetch.arrivals[0] / "def_front/cast_0.jpeg").read_bytes()
    first = {"def_front/a.jpeg": one} if earlier == "the same arrival" else {}
    sha256 = hashlib.sha256(one).hexdigest()
    if known:
        refused_last_time(places, sha256, "label_conflict")
    found = look({**first, "ok_front/a.jpeg": one})
    assert [image.label for image in found.images] == ["def_front"] * len(first)
    said = capsys.readouterr().out
    assert said.startswith(
        "news: 1 photographs came again with another label, and the earlier one holds: line 3/ok_front/a.jpeg"
    )
    assert f"add a line such as {sha256},ok_front,WHY to corrections.csv" in said
    assert said.count("\n") == 1
    correct(places, f"{sha256},ok_front,no crack")
    assert [image.label for image in look({}).images][:1] == ["ok_front"]
    assert capsys.readouterr().out == ""


def test_what_contradicted_a_file_that_is_gone_is_new(look, ran, photograph):
    sha256 = hashlib.sha256(photograph(901)).hexdigest()
    refused_last_time(ran[1], sha256, "label_conflict")
    assert [one.label for one in look({"ok_front/a.jpeg": photograph(901)}).images] == ["ok_front"]


def test_what_is_excluded_is_new_when_it_is_so_no_longer(look, ran, photograph):
    sha256 = hashlib.sha256(photograph(901)).hexdigest()
    refused_last_time(ran[1], sha256, "excluded")
    correct(ran[1], f"{sha256},exclude,a hand in the picture")
    assert look({"ok_front/a.jpeg": photograph(901)}).images == ()
    correct(ran[1])
    assert [one.label for one in look({}).images] == ["ok_front"]


@pytest.mark.parametrize("code", ["truncated", "too_small", "blank"])
def test_what_shows_nothing_is_not_new_whatever_is_corrected(look, ran, photograph, code):
    sha256 = hashlib.sha256(photograph(901)).hexdigest()
    refused_last_time(ran[1], sha256, code)
    correct(ran[1], f"{sha256},def_front,a crack")
    assert look({"ok_front/a.jpeg": photograph(901)}).images == ()


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
    assert found.reason_to_retrain(1_000, 1e9) == "the source is others now"


def test_before_the_first_run_all_is_new(ran):
    fetch, places = ran
    found = news(fetch, Places(data=places.data, artifacts=places.artifacts / "none"))
    assert found.another_source
    assert len(found.images) == 6


def test_few_images_are_enough_when_they_have_waited(look, photograph):
    found = look({"ok_front/a.jpeg": photograph(901)})
    assert found.reason_to_retrain(2, 3_600) is None
    assert found.reason_to_retrain(1, 3_600) == "new images: 1, enough are 1"
    day = 86_400
    assert found.reason_to_retrain(2, 7 * day, now=found.since + 7 * day - 1) is None
    assert found.reason_to_retrain(2, 7 * day, now=found.since + 7.2 * day).endswith(
        "the oldest has waited for 7.2 days, enough are 7"
    )


@pytest.fixture
def clock(monkeypatch):
    """Sets the clock of this machine so many days ahead of the real one."""
    real = time.time

    def ahead(days: float) -> None:
        monkeypatch.setattr(noun.time, "time", lambda: real() + days * DAY)

    return ahead


def date(path: Path, days: float) -> None:
    os.utime(path, (time.time() + days * DAY,) * 2)


@pytest.mark.parametrize("days", [0, 0.1, 40, 40_000])
def test_images_dated_in_the_future_become_due_as_others_do(look, ran, photograph, clock, days):
    look({"ok_front/a.jpeg": photograph(901)})
    date(ran[1].data.parent / "line 3/ok_front/a.jpeg", days)
    found = look({})
    assert found.reason_to_retrain(2, 0)
    assert found.reason_to_retrain(2, 7 * DAY) is None
    clock(7.1)
    assert look({}).reason_to_retrain(2, 7 * DAY).endswith("the oldest has waited for 7.1 days, enough are 7")


def test_what_lay_there_before_the_first_look_has_waited_since_then(look, photograph, clock):
    clock(8)  # days after the file was put there
    assert look({"ok_front/a.jpeg": photograph(901)}).reason_to_retrain(2, 7 * DAY)


@pytest.mark.parametrize(
    "wrong", [-20_000, -0.5, 0.5, 400], ids=["1971", "half a day back", "half a day ahead", "ahead"]
)
def test_a_clock_that_is_set_takes_nothing_from_what_has_waited(look, photograph, clock, wrong):
    clock(wrong)
    look({"ok_front/a.jpeg": photograph(901)})
    clock(wrong + 3)
    look({})
    clock(0)  # set right
    look({})
    clock(4.1)
    assert look({}).reason_to_retrain(2, 7 * DAY)


def test_what_no_longer_waits_is_forgotten_and_a_newcomer_begins_anew(look, ran, photograph, clock):
    look({"ok_front/a.jpeg": photograph(901)})
    clock(7.5)
    assert look({}).reason_to_retrain(2, 7 * DAY)
    (ran[1].data.parent / "line 3/ok_front/a.jpeg").unlink()
    clock(0)
    found = look({"ok_front/b.jpeg": photograph(902)})
    assert found.reason_to_retrain(2, 7 * DAY) is None
    assert [row.sha256 for row in read_state(ran[1].data / "waiting.csv", WaitingImage)] == [found.images[0].sha256]


@pytest.mark.parametrize("content", [b"", b"sha256,wai", b"sha256,waited,looked\nab,nan,1.0\n", b"\xff\x00" * 9, b"{}"])
def test_damaged_notes_of_what_waits_are_begun_anew(look, ran, photograph, content):
    sha256 = look({"ok_front/a.jpeg": photograph(901)}).images[0].sha256
    (ran[1].data / "waiting.csv").write_bytes(content.replace(b"ab", sha256.encode()))
    assert look({}).reason_to_retrain(2, 0)
    assert len(read_state(ran[1].data / "waiting.csv", WaitingImage)) == 1


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
    assert read_announcements(places) == []
    record_announcement(found, "a reason, with a comma", places)
    record_announcement(found._replace(since=1.0), "another", places)
    noted = read_announcements(places)
    assert [(one.digest, one.why) for one in noted] == [
        (found.digest, "a reason, with a comma"),
        (found.digest, "another"),
    ]
    assert all(isinstance(one, Announcement) and one.announced.startswith("20") for one in noted)


def test_it_is_told_again_later_and_later(look, ran, photograph):
    found = look({"ok_front/a.jpeg": photograph(901)})
    record_announcement(found._replace(images=()), "other news", ran[1])
    assert announcements_of(found, ran[1]) == []
    record_announcement(found, "a reason", ran[1])
    (once,) = announcements_of(found, ran[1])
    then = datetime.fromisoformat(once.announced)
    waits = [retry_after([once] * times) - then for times in (1, 2, 3, 100, 10_000)]
    assert waits[:3] == [timedelta(minutes=10), timedelta(minutes=20), timedelta(minutes=40)]
    assert waits[3] == waits[4] < timedelta(days=1)


def test_what_was_told_rests_for_a_while_and_a_clock_that_is_set_postpones_nothing(ran):
    found, now = news(*ran), datetime.now(UTC)
    assert postponed_until([], now) is None
    record_announcement(found, "a reason", ran[1])
    (once,) = announcements_of(found, ran[1])
    assert postponed_until([once], now + timedelta(minutes=9)) == retry_after([once])
    assert postponed_until([once], now + timedelta(minutes=11)) is None
    assert postponed_until([once], now - timedelta(days=400)) is None, "the clock was set back"
    assert postponed_until([once], now + timedelta(days=400)) is None, "the clock was set forward"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"digest,announced,wh",
        b"digest,announced,why\nDIGEST,yesterday,x\n",
        b"digest,announced,why\nDIGEST,20",
        b"\xff",
    ],
)
def test_damaged_notes_of_what_was_told_are_begun_anew(ran, content):
    found = news(*ran)
    (ran[1].data / "announced.csv").write_bytes(content.replace(b"DIGEST", found.digest.encode()))
    assert announcements_of(found, ran[1]) == []
    record_announcement(found, "a reason", ran[1])
    assert [one.why for one in announcements_of(found, ran[1])] == ["a reason"]


def test_a_time_without_a_zone_is_of_utc(ran):
    naive = Announcement("ab", "2026-11-30T12:00:00", "a reason")
    assert postponed_until([naive], datetime(2026, 11, 30, 12, 5, tzinfo=UTC)) == datetime(
        2026, 11, 30, 12, 10, tzinfo=UTC
    )


def test_the_last_run_is_the_one_that_counts(ran, outcome):
    _, places = ran
    before = last_used(places)
    later = replace(outcome, run_id="20261123-000000-compact-77aa", splits=outcome.splits)
    write_run(later, "a page")
    assert last_used(places) == before
    assert last_used(Places(artifacts=places.artifacts / "none")).source is None


@pytest.mark.parametrize("name", ["run.json", "splits.csv", "quarantine.csv"])
@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe", b'"' + b"x" * 200_000], ids=["gone", "not UTF-8", "cut in a quote"]
)
def test_of_a_damaged_run_nothing_is_known_and_that_is_told_in_one_line(ran, capsys, name, content):
    path = (ran[1].artifacts / "runs/latest").resolve() / name
    path.unlink() if content is None else path.write_bytes(content)
    found = last_used(ran[1])
    said, error = capsys.readouterr()
    if name == "run.json":
        assert said == "", "it is no run"
        assert error.startswith(f"{path} cannot be read, and the run is passed over: ") == (content is not None)
    else:
        assert said.startswith(f"news: all images count as new: {path} is damaged or cannot be read (")
        assert said.count("\n") == 1
    assert found.images == frozenset()
    assert len(news(*ran).images) == 6


def test_a_row_that_was_cut_counts_as_none(ran):
    splits = (ran[1].artifacts / "runs/latest").resolve() / "splits.csv"
    before = last_used(ran[1]).images
    lines = splits.read_text().splitlines(keepends=True)
    splits.write_text("".join(lines[:-1]) + lines[-1][:30])
    assert before > last_used(ran[1]).images >= {image for image in before if image[0] not in lines[-1]}


@pytest.fixture
def known(ran) -> tuple[str, str]:
    """(path below the source, sha256) of a good image of the source that the last run used."""
    images = [image for image in last_used(ran[1]).source_images if image.label == "ok_front"]
    return images[0].path, images[0].sha256


def test_a_correction_of_an_image_of_the_source_is_news_until_a_run_used_it(ran, known):
    correct(ran[1], f"{known[1]},def_front,a crack")
    (image,) = news(*ran).images
    assert (image.origin, image.sha256, image.label) == ("base", known[1], "def_front")
    correct(ran[1], f"{known[1]},ok_front,as it is")
    assert news(*ran).images == ()


def test_so_is_what_people_said_on_the_review_page_unless_the_user_says_otherwise(ran, known):
    fetch, places = ran
    (places.artifacts / "corrections.csv").write_text(f"sha256,correction,why\n{known[1]},def_front,Ada\n")
    assert [image.label for image in news(fetch, places).images] == ["def_front"]
    correct(places, f"{known[1]},ok_front,a shadow")
    assert news(fetch, places).images == ()


def corrected_last_time(places, path: str, sha256: str, now: str) -> None:
    """Lets the last run have used an image of the source with another label, or not at all."""
    run = (places.artifacts / "runs/latest").resolve()
    with open(run / "corrections.csv", "a") as table:
        table.write(f"{path},base,{sha256},ok_front,{now},Ada\n")
    lines = (run / "splits.csv").read_text().splitlines(keepends=True)
    changed = [line.replace(",ok_front,", f",{now},", 1) if sha256 in line else line for line in lines]
    kept = [line for line in changed if now != "exclude" or sha256 not in line]
    (run / "splits.csv").write_text("".join(kept))
    if now == "exclude":
        refused_last_time(places, sha256, "excluded")


@pytest.mark.parametrize("now", ["def_front", "exclude"])
def test_a_correction_that_was_taken_back_is_news_and_one_that_holds_is_not(ran, known, now):
    fetch, places = ran
    corrected_last_time(places, *known, now)
    correct(places, f"{known[1]},{now},Ada")
    assert news(fetch, places).images == ()
    correct(places)
    assert [(image.sha256, image.label) for image in news(fetch, places).images] == [(known[1], "ok_front")]


@pytest.mark.parametrize("now", ["def_front", "exclude"])
def test_a_changed_label_waits_from_now_however_old_the_image_is(ran, known, now):
    fetch, places = ran
    month_ago = time.time() - 30 * DAY
    for path in places.data_root.parent.rglob(f"*{known[1]}*"):
        os.utime(path, (month_ago, month_ago))
    if now == "exclude":
        corrected_last_time(places, *known, now)
        correct(places)
    else:
        correct(places, f"{known[1]},def_front,a crack")
    found = news(fetch, places)
    assert len(found.images) == 1
    assert found.images[0].was_used
    assert time.time() - found.since < DAY
    assert found.reason_to_retrain(2, 7 * DAY) is None


def test_an_excluded_image_of_the_source_is_not_new(ran, known):
    correct(ran[1], f"{known[1]},exclude,blurred")
    assert news(*ran).images == ()


def test_a_run_whose_corrections_are_gone_is_still_known(ran, known):
    (ran[1].artifacts / "runs/latest/corrections.csv").unlink()
    assert news(*ran).images == ()


def test_labeled_photographs_are_news_of_their_own_origin(ran, photograph):
    fetch, places = ran
    labeled = places.inbox / "reviewed-20261201-line 2/ok_front/0123456789abcdef/a.jpeg"
    labeled.parent.mkdir(parents=True)
    labeled.write_bytes(photograph(901))
    arrivals = (*fetch.arrivals, labeled.parents[2])
    (image,) = news(fetch.model_copy(update={"arrivals": arrivals}), places).images
    assert (image.origin, image.path, image.label) == ("line 2", labeled, "ok_front")
