"""Placement: labels reach the next run, and nothing of the user's is changed."""

import hashlib
from pathlib import Path

import pytest
from labeling.test_label_log import answer

from tasks.dataset.corrections import find_corrections, load_corrections
from tasks.inbox.arrivals import find_arrivals
from tasks.labeling.label_log import LabelLog
from tasks.labeling.placement import as_origin, origin_in_inbox, place_labels
from tasks.labeling.product import Product
from tasks.records.rows import Row
from tasks.settings.settings import Classes, FetchSettings

CLASSES = Classes(defect="crack", good="sound")


def product_of(*known: str, kinds: tuple[str, ...] = ("crack",), classes: Classes = CLASSES) -> Product:
    rows = {sha256: Row("sound/1.png", sha256, "sound", "base", "", 9, 9, 1.0, 1.0, 1.0) for sha256 in known}
    return Product(Path("run"), classes, kinds, rows, frozenset())


@pytest.fixture
def log(places) -> LabelLog:
    return LabelLog(places)


@pytest.fixture
def unlabeled(places):
    """Puts a photograph into the inbox, and returns its sha256 and where it lies."""

    def put(name: str, content: bytes) -> tuple[str, Path]:
        path = places.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return hashlib.sha256(content).hexdigest(), path

    return put


def placed(places) -> dict[str, bytes]:
    folders = places.inbox.glob("reviewed-*")
    return {
        str(path.relative_to(places.inbox)): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def corrected(places, classes: Classes = CLASSES) -> dict[str, str]:
    found = find_corrections(classes, places)
    return {sha256: line.correction for sha256, line in load_corrections(found, classes).items()}


def test_a_new_photograph_becomes_a_file_of_its_origin_and_its_own_stays(log, places, unlabeled):
    sha256, path = unlabeled("line-3/unlabeled/tray/part_7.png", b"seven")
    log.append(answer(1, sha256, origin="line-3"))
    assert place_labels(log, product_of(), {sha256: path}, places) == []
    assert placed(places) == {f"reviewed-20261201-line-3/sound/{sha256[:16]}/part_7.png": b"seven"}
    assert path.read_bytes() == b"seven"
    assert corrected(places) == {}


def test_placing_again_changes_nothing(log, places, unlabeled):
    sha256, path = unlabeled("unlabeled/a.png", b"a")
    log.append(answer(1, sha256))
    for _ in range(2):
        place_labels(log, product_of(), {sha256: path}, places)
        before = placed(places)
    path.unlink()
    assert place_labels(log, product_of(), {}, places) == []
    assert placed(places) == before and len(before) == 1


def test_the_kind_of_a_defect_is_its_folder_where_there_are_several(log, places, unlabeled):
    classes = Classes(defect="defect", good="sound")
    contents = {kind: unlabeled(f"unlabeled/{kind}.png", kind.encode()) for kind in ("hole", "crack", "none")}
    for number, (kind, (sha256, _)) in enumerate(contents.items()):
        log.append(answer(number, sha256, "defect", kind="" if kind == "none" else kind))
    product = product_of(kinds=("crack", "hole"), classes=classes)
    place_labels(log, product, dict(contents.values()), places)
    assert sorted(Path(name).parts[1] for name in placed(places)) == ["crack", "defect", "hole"]


def test_a_known_image_is_corrected_and_not_placed(log, places):
    known = "cd" * 32
    log.append(answer(1, known, "defect"))
    assert place_labels(log, product_of(known), {}, places) == []
    assert placed(places) == {}
    assert corrected(places) == {known: "crack"}
    log.append(answer(2, known, "exclude", comment="blurred"))
    place_labels(log, product_of(known), {}, places)
    assert corrected(places) == {known: "exclude"}
    assert ": blurred" in (places.artifacts / "corrections.csv").read_text()
    for number in (1, 2):
        log.append(answer(number + 10, known, "withdrawn", withdraws=f"{number:032x}"))
    place_labels(log, product_of(known), {}, places)
    assert corrected(places) == {}


def test_another_answer_about_a_placed_photograph_is_a_correction_and_moves_nothing(log, places, unlabeled):
    sha256, path = unlabeled("unlabeled/a.png", b"a")
    log.append(answer(1, sha256))
    place_labels(log, product_of(), {sha256: path}, places)
    before = placed(places)
    for number, label, expected in [(2, "defect", "crack"), (3, "exclude", "exclude"), (4, "good", None)]:
        log.append(answer(number, sha256, label))
        place_labels(log, product_of(), {sha256: path}, places)
        assert corrected(places).get(sha256) == expected
    for number in range(1, 5):
        log.append(answer(number + 10, sha256, "withdrawn", withdraws=f"{number:032x}"))
    place_labels(log, product_of(), {sha256: path}, places)
    assert corrected(places) == {sha256: "exclude"}
    assert placed(places) == before


def test_who_cannot_tell_and_who_takes_back_first_place_nothing(log, places, unlabeled):
    sha256, path = unlabeled("unlabeled/a.png", b"a")
    log.append(answer(1, sha256, "cannot_tell"))
    log.append(answer(2, sha256, "good"))
    log.append(answer(3, sha256, "withdrawn", withdraws=f"{2:032x}"))
    place_labels(log, product_of(), {sha256: path}, places)
    assert placed(places) == {} and corrected(places) == {}


def test_a_photograph_that_changed_or_went_costs_itself_alone(log, places, unlabeled):
    contents = [unlabeled(f"unlabeled/{name}.png", name.encode()) for name in "abc"]
    for number, (sha256, _) in enumerate(contents):
        log.append(answer(number, sha256))
    contents[0][1].write_bytes(b"another")
    contents[1][1].unlink()
    faults = place_labels(log, product_of(), dict(contents), places)
    assert len(faults) == 2
    assert "changed after it was labeled good by anna" in faults[0] and "its file is gone" in faults[1]
    assert list(placed(places).values()) == [b"c"]


def test_the_user_s_correction_wins_and_is_never_written(log, places):
    known = "cd" * 32
    places.data.mkdir(parents=True, exist_ok=True)
    own = places.data / "corrections.csv"
    own.write_text(f"sha256,correction,why\n{known},sound,I looked\n")
    log.append(answer(1, known, "defect"))
    place_labels(log, product_of(known), {}, places)
    assert corrected(places) == {known: "sound"}
    assert own.read_text() == f"sha256,correction,why\n{known},sound,I looked\n"


def test_a_correction_of_another_product_is_passed_over(log, places):
    known = "cd" * 32
    log.append(answer(1, known, "defect"))
    place_labels(log, product_of(known), {}, places)
    assert corrected(places, Classes(defect="hole", good="sound")) == {}


def test_a_run_reads_the_corrections_of_its_start_while_people_go_on(log, places):
    known = "cd" * 32
    log.append(answer(1, known, "defect"))
    place_labels(log, product_of(known), {}, places)
    found = find_corrections(CLASSES, places)
    log.append(answer(2, known, "exclude"))
    place_labels(log, product_of(known), {}, places)
    assert load_corrections(found, CLASSES)[known].correction == "crack"
    assert corrected(places) == {known: "exclude"}


def test_a_reviewed_folder_has_the_origin_of_its_photographs(log, places, unlabeled):
    unlabeled("line-3/sound/old.png", b"old")
    unlabeled("zeta/sound/z.png", b"z")
    sha256, path = unlabeled("line-3/unlabeled/a.png", b"a")
    log.append(answer(1, sha256, origin="line-3"))
    place_labels(log, product_of(), {sha256: path}, places)
    arrivals = find_arrivals(FetchSettings(settle_seconds=0), product_of().folders, places)
    assert [arrival.origin for arrival in arrivals] == ["line-3", "zeta", "line-3"], "reviewed ones come last"
    assert arrivals[-1].names == (f"sound/{sha256[:16]}/a.png",)


@pytest.mark.parametrize(
    ("origin", "folder"),
    [
        ("line-3", "line-3"), ("a/b\\c", "a-b-c"), ("base", "station-base"), ("", "station-"), ("..", "station-"), ("con", "con"),
        (".hidden", "hidden"), ("Zoë 7", "Zoë 7"), ("a\nb", "a-b"),
    ],
)  # fmt: skip
def test_any_station_has_a_folder(origin, folder):
    assert as_origin(origin) == folder


@pytest.mark.parametrize(
    ("path", "origin"),
    [("unlabeled/a.png", "inbox"), ("unlabelled/x/a.png", "inbox"), ("line-3/unlabeled/a.png", "line-3")],
)
def test_the_origin_of_an_unlabeled_image_is_the_folder_above(path, origin):
    assert origin_in_inbox(path) == origin
