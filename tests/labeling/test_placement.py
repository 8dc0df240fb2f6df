"""Placement: what people said lies where the next run finds it, once, and nothing of the user's is changed or moved."""

import hashlib
import os
from pathlib import Path

import pytest
from labeling.answers import answer

from tasks.dataset.corrections import HEADER, find_corrections, load_corrections
from tasks.inbox.arrivals import entries_of, find_arrivals
from tasks.labeling.label_log import LabelLog
from tasks.labeling.placement import as_origin, find_placed, origin_in_inbox, place_labels
from tasks.labeling.product import Product
from tasks.records.results import ClassFolders
from tasks.records.rows import Row
from tasks.settings.settings import Classes, FetchSettings
from tasks.storage.files import tree_digest
from tasks.storage.tables import read_csv

CLASSES = Classes(defect="defect", good="good")
FOLDERS = ClassFolders(defect=("crack", "hole"), good="good")
KNOWN, REFUSED = "c3" * 32, "d4" * 32


def product(*known: str, refused: tuple[str, ...] = (), kinds: tuple[str, ...] = ("crack", "hole"), classes=CLASSES):
    row = Row("1.jpeg", "", "good", "base", "", 48, 48, 0.0, 0.0, 0.0)
    rows = {sha256: row._replace(sha256=sha256) for sha256 in known}
    return Product(Path("run"), classes, kinds, rows, frozenset(refused))


class Bench:
    """A label log, photographs by name, and what follows from both."""

    def __init__(self, places):
        self.places, self.log, self.sources, self.product = places, LabelLog(places), dict[str, Path](), product()
        self.number = 0

    def photograph(self, name: str, content: bytes = b"one") -> str:
        path = self.places.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        self.sources[sha256] = path
        return sha256

    def say(self, sha256: str, label: str, **fields) -> str:
        self.number += 1
        row = answer(self.number, sha256, label, **{"queue": "to_label", **fields})
        self.log.append(row)
        return row.decision

    def withdraw(self, sha256: str, decision: str) -> None:
        self.say(sha256, "withdrawn", withdraws=decision)

    def place(self) -> list[str]:
        return place_labels(self.log, self.product, self.sources, self.places)

    def placed(self) -> list[str]:
        return sorted(
            path.relative_to(self.places.inbox).as_posix()
            for path in self.places.inbox.glob("reviewed-*/**/*")
            if path.is_file()
        )

    def corrections(self) -> dict[str, str]:
        path = self.places.artifacts / "corrections.csv"
        return {cells[0]: cells[1] for cells in list(read_csv(path))[1:]} if path.exists() else {}


@pytest.fixture
def bench(places):
    return Bench(places)


def test_a_new_photograph_is_copied_whole_below_its_day_its_origin_and_its_class(bench):
    sha256 = bench.photograph("line-3/unlabeled/cast 1.jpeg")
    bench.say(sha256, "good")
    assert bench.place() == []
    target = f"reviewed-20261201-line-3/good/{sha256[:16]}/cast 1.jpeg"
    assert bench.placed() == [target]
    assert (bench.places.inbox / target).read_bytes() == b"one"
    assert (bench.places.inbox / "line-3/unlabeled/cast 1.jpeg").read_bytes() == b"one"
    assert not (bench.places.artifacts / "corrections.csv").exists()


def test_it_can_be_repeated_and_changes_nothing(bench):
    sha256, other = bench.photograph("unlabeled/1.jpeg"), bench.photograph("unlabeled/2.jpeg", b"two")
    bench.product = product(KNOWN)
    for content, label in ((sha256, "good"), (other, "defect"), (KNOWN, "exclude")):
        bench.say(content, label)
    bench.place()
    before = tree_digest(bench.places.inbox), (bench.places.artifacts / "corrections.csv").read_bytes()
    bench.sources.clear()
    assert bench.place() == []
    assert before == (tree_digest(bench.places.inbox), (bench.places.artifacts / "corrections.csv").read_bytes())


@pytest.mark.parametrize(
    ("label", "kind", "folder"),
    [
        ("good", "", "good"),
        ("defect", "hole", "hole"),
        ("defect", "", "defect"),
        ("defect", "of another product", "defect"),
        ("cannot_tell", "", None),
        ("exclude", "", None),
    ],
)
def test_the_class_folder_is_that_of_the_answer(bench, label, kind, folder):
    bench.say(bench.photograph("unlabeled/1.jpeg"), label, kind=kind)
    assert bench.place() == []
    assert [name.split("/")[1] for name in bench.placed()] == ([folder] if folder else [])
    assert bench.corrections() == {}


@pytest.mark.parametrize("kind", ["scratch/deep", "..", "x" * 300])
def test_a_kind_that_is_no_folder_goes_to_the_folder_of_its_class(bench, kind):
    bench.product = product(kinds=(kind, "hole"))
    bench.say(bench.photograph("unlabeled/1.jpeg"), "defect", kind=kind)
    assert bench.place() == []
    assert [name.split("/")[1] for name in bench.placed()] == ["defect"]


def test_a_known_image_gets_a_correction_and_no_copy(bench):
    bench.product = product(KNOWN, refused=(REFUSED,))
    bench.say(KNOWN, "defect", queue="suspects", comment="a crack, deep")
    bench.say(REFUSED, "exclude", comment="=1+1\nblurred")
    assert bench.place() == []
    assert bench.placed() == []
    rows = list(read_csv(bench.places.artifacts / "corrections.csv"))
    assert rows == [
        HEADER,
        [KNOWN, "defect", "Ada, 2026-12-01, suspects: a crack, deep"],
        [REFUSED, "exclude", "Ada, 2026-12-01, to_label: =1+1 blurred"],
    ]
    found = load_corrections(find_corrections(CLASSES, bench.places), CLASSES)
    assert {sha256: correction.correction for sha256, correction in found.items()} == {
        KNOWN: "defect",
        REFUSED: "exclude",
    }


def test_the_users_corrections_are_never_written(bench):
    own = bench.places.data / "corrections.csv"
    own.parent.mkdir(parents=True)
    own.write_text(f"sha256,correction,why\n{KNOWN},good,mine\n")
    before = own.read_bytes(), own.stat().st_mtime_ns
    bench.product = product(KNOWN)
    bench.say(KNOWN, "defect")
    bench.place()
    assert before == (own.read_bytes(), own.stat().st_mtime_ns)
    assert load_corrections(find_corrections(CLASSES, bench.places), CLASSES)[KNOWN].correction == "good"


def test_another_label_after_the_placement_is_a_correction_and_the_file_stays(bench):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.say(sha256, "good")
    bench.place()
    before = tree_digest(bench.places.inbox)
    bench.say(sha256, "defect", kind="hole")
    bench.place()
    assert bench.corrections() == {sha256: "defect"}
    bench.product = product(sha256)  # a run took it in meanwhile
    bench.place()
    assert bench.corrections() == {sha256: "defect"}
    bench.say(sha256, "good")
    bench.place()
    assert bench.corrections() == {}
    assert tree_digest(bench.places.inbox) == before


def test_another_kind_of_the_same_class_is_no_correction(bench):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.say(sha256, "defect", kind="hole")
    bench.place()
    bench.say(sha256, "defect", kind="crack")
    bench.place()
    assert bench.corrections() == {}
    assert len(bench.placed()) == 1


def test_a_label_that_was_taken_back_before_the_placement_leaves_nothing(bench):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.withdraw(sha256, bench.say(sha256, "good"))
    assert bench.place() == []
    assert bench.placed() == []
    assert bench.corrections() == {}


@pytest.mark.parametrize("known", [False, True], ids=["before a run", "after a run"])
def test_a_label_that_was_taken_back_after_the_placement_is_excluded_until_the_next_answer(bench, known):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    decision = bench.say(sha256, "good")
    bench.place()
    bench.product = product(sha256) if known else bench.product
    bench.withdraw(sha256, decision)
    bench.place()
    assert bench.corrections() == {sha256: "exclude"}
    assert len(bench.placed()) == 1
    bench.product = product(refused=(sha256,)) if known else bench.product
    bench.say(sha256, "good")
    bench.place()
    assert bench.corrections() == {}
    assert len(bench.placed()) == 1


def test_an_earlier_answer_counts_again_where_the_later_one_was_taken_back(bench):
    bench.product = product(KNOWN)
    bench.say(KNOWN, "defect")
    bench.withdraw(KNOWN, bench.say(KNOWN, "exclude"))
    bench.place()
    assert bench.corrections() == {KNOWN: "defect"}
    bench.withdraw(KNOWN, f"{1:032x}")
    bench.place()
    assert bench.corrections() == {}


def test_who_cannot_tell_later_does_not_exclude_what_another_labeled(bench):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.say(sha256, "defect")
    bench.place()
    bench.say(sha256, "cannot_tell", person="Ben", queue="spot_check")
    bench.place()
    assert bench.corrections() == {}


def test_a_placed_photograph_that_the_user_removed_is_no_fault_once_a_run_knew_it(bench):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.say(sha256, "defect")
    bench.place()
    bench.product = product(sha256)
    (bench.places.inbox / bench.placed()[0]).unlink()
    assert bench.place() == []
    assert bench.placed() == []
    bench.product = product()
    assert bench.place() == []
    assert bench.placed() == [], "what the user took away does not come back"


def test_a_photograph_whose_file_is_gone_is_named_and_the_others_are_placed(bench):
    gone, changed = bench.photograph("unlabeled/1.jpeg"), bench.photograph("unlabeled/2.jpeg", b"two")
    there = bench.photograph("unlabeled/3.jpeg", b"three")
    unknown = "e5" * 32
    for sha256 in (gone, changed, unknown, there):
        bench.say(sha256, "good")
    bench.sources[gone].unlink()
    bench.sources[changed].write_bytes(b"other")
    faults = bench.place()
    assert [there[:16] in name for name in bench.placed()] == [True]
    assert len(faults) == 3
    assert faults[0] == f"the photograph {gone[:16]} of line-3 is labeled good, and its file is gone"
    assert faults[1].endswith("unlabeled/2.jpeg changed after it was labeled good by Ada: label it again")


def test_a_file_in_the_way_is_told_and_the_others_are_placed(bench):
    one, two = bench.photograph("unlabeled/1.jpeg"), bench.photograph("unlabeled/2.jpeg", b"two")
    (bench.places.inbox / "reviewed-20261201-line-3").write_bytes(b"a file")
    bench.say(one, "good")
    bench.say(two, "good", origin="line-4")
    (fault,) = bench.place()
    assert "reviewed-20261201-line-3" in fault
    assert [two[:16] in name for name in bench.placed() if "/" in name] == [True]


def test_a_placement_that_was_killed_is_finished_and_its_remains_are_no_photograph(bench):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.say(sha256, "good")
    remains = bench.places.inbox / f"reviewed-20261201-line-3/good/{sha256[:16]}/.1.abc.scratch"
    remains.mkdir(parents=True)
    (remains / "1.jpeg").write_bytes(b"o")
    assert find_placed(bench.places.inbox) == {}
    assert bench.place() == []
    (arrival,) = find_arrivals(FetchSettings(settle_seconds=0), FOLDERS, bench.places)
    assert arrival.names == (f"good/{sha256[:16]}/1.jpeg",)


def test_the_same_content_in_two_folders_and_two_queues_is_placed_once(bench):
    sha256 = bench.photograph("line-3/unlabeled/1.jpeg")
    bench.photograph("line-4/unlabeled/other.jpeg")
    bench.say(sha256, "good", queue="to_label")
    bench.place()
    bench.say(sha256, "good", queue="review", origin="station-7", time="2026-12-02T07:00:00+00:00")
    bench.place()
    assert len(bench.placed()) == 1
    assert bench.corrections() == {}


def test_the_day_is_that_of_the_answer_in_utc(bench):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.say(sha256, "good", time="2026-12-01T23:30:00-05:00")
    bench.place()
    assert bench.placed()[0].startswith("reviewed-20261202-")


def test_corrections_of_another_product_in_the_same_places_stay(bench):
    theirs, ours = "f6" * 32, KNOWN
    bench.product = product(theirs, kinds=("nok",), classes=Classes(defect="nok", good="ok"))
    bench.say(theirs, "defect")
    assert bench.place() == []
    assert bench.corrections() == {theirs: "nok"}
    bench.product = product(ours)
    decision = bench.say(ours, "exclude")
    assert bench.place() == [], "what the other product placed is not missed here"
    assert bench.corrections() == {theirs: "nok", ours: "exclude"}
    assert load_corrections(find_corrections(CLASSES, bench.places), CLASSES).keys() == {ours}
    bench.withdraw(ours, decision)
    bench.withdraw(theirs, f"{1:032x}")
    bench.place()
    assert bench.corrections() == {}, "what was taken back holds for no product"


def test_a_damaged_table_of_corrections_is_made_anew_from_the_answers(bench, capsys):
    bench.product = product(KNOWN)
    bench.say(KNOWN, "defect")
    (bench.places.artifacts / "corrections.csv").write_text("nonsense\n")
    assert bench.place() == []
    assert bench.corrections() == {KNOWN: "defect"}
    assert "corrections.csv, line 1: the header is 'nonsense'" in capsys.readouterr().out


def test_where_one_kind_alone_was_accepted_the_class_is_still_known(bench):
    bench.product = product(KNOWN, kinds=("crack",))
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.say(sha256, "defect")
    bench.say(KNOWN, "defect", kind="crack")
    bench.place()
    assert [name.split("/")[1] for name in bench.placed()] == ["defect"]
    assert bench.corrections() == {KNOWN: "defect"}


@pytest.mark.parametrize("origin", ["line-3", "inbox", "Linie Süd", "line:3", "line 3.", "con", " x", "x" * 237])
def test_the_origin_of_a_folder_stays_as_it_is(origin):
    assert as_origin(origin) == origin


@pytest.mark.parametrize(
    "origin",
    ["", ".", "..", "../x", "a/b", "a\\b", "/etc", "base", "BASE", "x" * 300, "é" * 300, ".hidden", "C:x", "a\tb"]
    + ["unlabeled", "good", "reviewed-20261201-line-3"],
)
def test_any_origin_has_a_folder_that_the_next_run_takes_in(bench, origin):
    sha256 = bench.photograph("unlabeled/1.jpeg")
    bench.say(sha256, "good", origin=origin)
    assert bench.place() == []
    (name,) = bench.placed()
    assert len(name.split("/")) == 4
    (arrival,) = find_arrivals(FetchSettings(settle_seconds=0), FOLDERS, bench.places)
    assert [entry.label for entry in entries_of(arrival, FOLDERS, bench.places)] == ["good"]
    assert arrival.origin not in ("base", "")
    assert arrival.origin == as_origin(bench.log.rows()[0].origin)


def test_two_long_origins_of_one_beginning_stay_two():
    assert as_origin("x" * 300 + "a") != as_origin("x" * 300 + "b")


def test_the_origin_of_the_inbox_follows_from_the_folder_at_its_top():
    origins = {
        "unlabeled/1.jpeg": "inbox",
        "unlabelled/monday/1.jpeg": "inbox",
        "line-3/unlabeled/1.jpeg": "line-3",
        "line-3/monday/unlabeled/1.jpeg": "line-3",
        "reviewed-20261201-line-3/unlabeled/1.jpeg": "line-3",
    }
    assert {name: origin_in_inbox(name) for name in origins} == origins


def test_a_name_that_is_unsafe_elsewhere_is_replaced_by_the_digest(bench):
    sha256 = bench.photograph("unlabeled/a\\b.JPEG")
    bench.say(sha256, "good")
    bench.place()
    assert os.path.basename(bench.placed()[0]) == f"{sha256}.jpeg"


def test_a_correction_of_another_product_is_passed_over(bench):
    bench.product = product(KNOWN)
    bench.say(KNOWN, "defect")
    bench.place()
    other = Classes(defect="hole", good="good")
    assert load_corrections(find_corrections(other, bench.places), other) == {}


def test_a_run_reads_the_corrections_of_its_start_while_people_go_on(bench):
    bench.product = product(KNOWN)
    bench.say(KNOWN, "defect")
    bench.place()
    found = find_corrections(CLASSES, bench.places)
    bench.say(KNOWN, "exclude")
    bench.place()
    assert load_corrections(found, CLASSES)[KNOWN].correction == "defect"
    assert bench.corrections() == {KNOWN: "exclude"}


def test_a_reviewed_folder_has_the_origin_of_its_photographs(bench):
    bench.photograph("line-3/good/old.png", b"old")
    bench.photograph("zeta/good/z.png", b"z")
    sha256 = bench.photograph("line-3/unlabeled/a.png", b"a")
    bench.say(sha256, "good", origin="line-3")
    bench.place()
    arrivals = find_arrivals(FetchSettings(settle_seconds=0), FOLDERS, bench.places)
    assert [arrival.origin for arrival in arrivals] == ["line-3", "zeta", "line-3"], "reviewed ones come last"
    assert arrivals[-1].names == (f"good/{sha256[:16]}/a.png",)
