"""Audit: repeated images and images of one casting are found, and those on both sides of the published split."""

import csv
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.audit import audit, count_changed_across, count_of_two_labels, count_trained_castings, group_hints
from tasks.dataset.duplicates import Copy
from tasks.dataset.near_duplicates import Pairs
from tasks.extract import extract
from tasks.fetch import fetch
from tasks.images import rings
from tasks.images.strips import Strip
from tasks.records.results import Audit, Corrections, Manifest, PartNames
from tasks.records.rows import BASE, Member, Row, stored_path
from tasks.settings.settings import (
    AuditSettings,
    Classes,
    ClassSettings,
    FetchSettings,
    Places,
    SampleSettings,
    ValidationSettings,
)
from tasks.sources.locate import locate
from tasks.sources.synthetic.cameras import CAMERAS
from tasks.sources.synthetic.corruptions import TRANSFORMS, encode
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph as take
from tasks.storage.tables import read_table, store_table
from tasks.validate import validate

GOOD, BAD = "ok_front", "def_front"


class Image:
    """Bytes with what is known of them."""

    def __init__(self, content: bytes, published: str = "train", label: str = GOOD, origin: str = BASE) -> None:
        self.content, self.published, self.label, self.origin = content, published, label, origin

    def row(self, number: int) -> Row:
        sha256 = hashlib.sha256(self.content).hexdigest()
        return Row(
            f"{self.published}/{number:03}.jpeg", sha256, self.label, self.origin, self.published, 300, 300, 120.0, 110.0, 9.0
        )  # fmt: skip


@pytest.fixture
def audit_images(places) -> Callable[..., Audit]:
    """Puts images on the shelf and audits them."""

    def run(*images: Image, auditing: AuditSettings = AuditSettings(), names: PartNames = PartNames()) -> Audit:
        rows = [image.row(number) for number, image in enumerate(images)]
        for row, image in zip(rows, images, strict=True):
            stored_path(row, places).parent.mkdir(parents=True, exist_ok=True)
            stored_path(row, places).write_bytes(image.content)
        table = store_table("manifest", rows, Row, places)
        manifest = Manifest(
            table=table, refused=table, corrected=table, classes=Classes(), images=len(rows), quarantined=0,
            corrections_unused=0, origins=(),
        )  # fmt: skip
        return audit.fn(manifest, names, auditing, places)

    return run


@pytest.fixture
def pairs(places) -> Callable[[Audit], list[Copy]]:
    return lambda record: read_table(record.pairs.path(places), Copy)


@pytest.fixture
def members(places) -> Callable[[Audit], list[Member]]:
    return lambda record: read_table(record.groups.path(places), Member)


@pytest.fixture(scope="module")
def parts() -> list[list[bytes]]:
    """Three castings, photographed by each camera."""
    found = []
    for seed in range(3):
        rng = np.random.default_rng([seed, 9])
        casting = draw_casting(rng)
        found.append([encode(take(casting, camera, rng).pixels, 85) for camera in CAMERAS])
    return found


def test_pairs_between_train_and_test_are_counted_and_no_others(audit_images, pairs, photograph):
    one, two, three, four = (photograph(seed) for seed in range(4))
    published = [
        (one, "train"), (one, "train"), (one, "test"),
        (two, "test"), (two, "test"), (two, ""),
        (three, "validation"), (three, "test"),
        (four, "train"),
    ]  # fmt: skip
    record = audit_images(*(Image(content, name) for content, name in published))
    assert record.exact_copies_across_splits == 2
    assert (record.near_copies_across_splits, record.copies_of_two_labels) == (0, 0)
    assert len(pairs(record)) == 3 + 3 + 1
    assert {pair.transform for pair in pairs(record)} == {"equal"}


def test_parts_that_are_not_round_have_copies_and_no_castings(audit_images, members, photograph, capsys):
    record = audit_images(*(Image(photograph(seed)) for seed in range(6)))
    assert (record.rings, record.parts_by, record.castings) == (0, "", None)
    assert (record.castings_of_two_labels, record.published_test_images_of_trained_castings) == (None, None)
    assert all(member.group == member.sha256 for member in members(record))
    assert all(member.residual > AuditSettings().max_ring_residual for member in members(record))
    assert (
        "rings in 0 of 6 images only, and local detail finds partners for too few images: parts are not known, images are grouped by copies"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("name", ["turn 90", "mirror, turn 180", "brightness 0.85"])
def test_a_changed_copy_of_a_test_image_is_found_in_train_whatever_it_shows(
    audit_images, pairs, members, photograph, name
):
    contents = [photograph(seed, size=(96, 96)) for seed in range(8)]
    record = audit_images(*(Image(content, "test") for content in contents), Image(TRANSFORMS[name](contents[5])))
    (pair,) = pairs(record)
    assert (pair.path, pair.copy_path, pair.across()) == ("test/005.jpeg", "train/008.jpeg", True)
    assert pair.transform == (name if "turn" in name else "encoded again")  # the rows here tell one brightness of all
    assert record.near_copies_across_splits == 1
    assert members(record)[8].group == members(record)[5].sha256
    assert members(record)[8].alike == pair.score


def test_photographs_of_one_casting_are_one_group(audit_images, members, pairs, parts, capsys):
    images = [Image(content, "test" if part == 2 else "train") for part in (0, 1, 2, 0) for content in parts[part][:2]]
    images[6:] = [Image(content, "test", BAD) for content in parts[0][2:]]
    record = audit_images(*images)
    groups = [member.group for member in members(record)]
    assert len(set(groups)) == record.castings == 3
    assert record.parts_by == "rings"
    assert groups[0] == groups[1] == groups[6] == groups[7]
    assert pairs(record) == []
    assert (record.rings, record.castings_of_two_labels) == (8, 1)
    assert record.published_test_images_of_trained_castings == 2
    assert (
        "audit: 8 different images show 3 parts, told by their rings, 1 with both labels; "
        "2 published test images show one that was published to train"
    ) in capsys.readouterr().out


def test_castings_are_told_where_nearly_all_images_show_a_ring(audit_images, parts, photograph):
    images = [Image(content) for part in parts for content in part[:3]]
    assert audit_images(*images, Image(photograph(1))).castings == 3 + 1
    assert audit_images(*images, Image(photograph(1)), Image(photograph(2))).castings is None
    lenient = AuditSettings(min_ring_share=0.8)
    assert audit_images(*images, Image(photograph(1)), Image(photograph(2)), auditing=lenient).castings == 5


def plates(photographs: int, single: int = 0) -> list[bytes]:
    """So many photographs, each of other light, of each of 24 plates, and one each of others."""
    rng = np.random.default_rng(0)
    encoded = []
    for number in range(24 + single):
        detail = rng.normal(size=(48, 48)).repeat(3, axis=0).repeat(3, axis=1)
        for light in np.linspace(40, 120, photographs if number < 24 else 1):
            shade = np.linspace(light, 150 - light, detail.shape[1])
            encoded.append(encode((shade * np.exp(0.15 * detail)).clip(0, 255).astype(np.uint8), 90))
    return encoded


def test_parts_that_are_not_round_are_told_by_their_detail(audit_images, members, pairs, capsys):
    images = [Image(content, "test" if number % 3 == 2 else "train") for number, content in enumerate(plates(3))]
    images[1].label = BAD
    record = audit_images(*images)
    assert (record.rings, record.parts_by, record.castings) == (0, "detail", 24)
    assert (record.castings_of_two_labels, record.published_test_images_of_trained_castings) == (1, 24)
    found = members(record)
    assert [member.group for member in found] == [found[place - place % 3].sha256 for place in range(72)]
    assert all((member.alike == 1) == (member.group == member.sha256) for member in found)
    assert pairs(record) == [], "they are no copies"
    assert "72 different images show 24 parts, told by their detail, 1 with both labels" in capsys.readouterr().out


def test_where_few_images_share_their_part_parts_are_not_known(audit_images, members):
    """Those that do are one group all the same."""
    images = [Image(content) for content in plates(2, single=60)]
    record = audit_images(*images)
    assert (record.parts_by, record.castings) == ("", None)
    assert len({member.group for member in members(record)}) == 24 + 60
    lenient = audit_images(*images, auditing=AuditSettings(min_partner_share=0.4))
    assert (lenient.parts_by, lenient.castings) == ("detail", 84)


def test_copies_are_no_evidence_that_parts_are_told_by_their_detail(audit_images, members):
    contents = plates(1)
    turned = [TRANSFORMS["turn 90"](content) for content in contents]
    record = audit_images(*(Image(content) for content in contents + turned))
    assert (record.parts_by, record.castings) == ("", None)
    assert len({member.group for member in members(record)}) == 24


def test_an_arrival_of_a_plate_moves_no_earlier_image(audit_images, members):
    contents = plates(3)
    base = [Image(content) for number, content in enumerate(contents) if number % 3]
    arrivals = [Image(content, "", origin="line 2") for content in contents[::3]]
    before, after = members(audit_images(*base)), members(audit_images(*base, *arrivals))
    assert after[:48] == before
    assert [member.group for member in after[48:]] == [member.group for member in before[::2]]


def test_parts_that_are_named_are_known_and_unnamed_images_are_told(process, audit_images, members, photograph, capsys):
    images = [Image(photograph(number)) for number in range(10)]  # their paths end in 000.jpeg to 009.jpeg
    named = audit_images(*images, names=PartNames(pattern=r"00([0-9])"))
    assert (named.parts_by, named.castings) == ("names", 10)
    of_two = audit_images(*images, names=PartNames(pattern=r"00([01234])|none"))
    assert of_two.parts_by == ""
    assert "nobody names the part of 5 of 10 different images, such as train/005.jpeg" in capsys.readouterr().out
    one = audit_images(*images, names=PartNames(pattern="(train)"))
    assert (one.castings, len({member.group for member in members(one)})) == (1, 1)


def test_without_an_image_nothing_is_told(audit_images, pairs, members):
    record = audit_images()
    assert (pairs(record), members(record), record.castings, record.rings) == ([], [], None, 0)


def test_a_ring_that_fits_badly_is_none(audit_images, parts):
    strict = AuditSettings(max_ring_residual=1e-6)
    record = audit_images(*(Image(content) for content in parts[0]), auditing=strict)
    assert (record.rings, record.castings) == (0, None)


def test_copies_that_are_called_differently_are_counted(audit_images, photograph):
    contents = [photograph(seed, size=(96, 96)) for seed in range(3)]
    turned = [TRANSFORMS["turn 180"](content) for content in contents]
    labels = [GOOD, BAD, GOOD, GOOD, GOOD, BAD]
    record = audit_images(*(Image(content, label=label) for content, label in zip([*contents, *turned], labels, strict=True)))  # fmt: skip
    assert record.copies_of_two_labels == 2
    assert record.near_copies_across_splits == 0


def test_what_was_found_is_said(audit_images, photograph, capsys):
    one, two = (photograph(seed, size=(96, 96)) for seed in range(2))
    audit_images(Image(one, "test"), Image(two, "test"), Image(one), Image(TRANSFORMS["mirror"](two)))
    assert (
        "audit: between train and test as published 1 pairs of equal files, "
        "and 1 more train images that are changed copies of test images"
    ) in capsys.readouterr().out


def test_an_equal_file_counts_as_equal_only(audit_images, photograph):
    """It is a changed copy of the other copy as well."""
    one = photograph(1, size=(96, 96))
    record = audit_images(Image(one, "test"), Image(TRANSFORMS["turn 90"](one), "test"), Image(one))
    assert (record.exact_copies_across_splits, record.near_copies_across_splits) == (1, 0)


def test_an_arrival_changes_no_earlier_group_and_no_count_of_the_published(audit_images, members, parts):
    base = [Image(content, name) for part in parts[:2] for content, name in zip(part, ["train", "test"] * 2, strict=True)]  # fmt: skip
    new = [*parts[0][:1], TRANSFORMS["turn 90"](parts[1][0]), *parts[2]]
    before = audit_images(*base)
    after = audit_images(*base, *(Image(content, "", origin="line 2") for content in new))
    assert members(after)[:8] == members(before)
    assert after.castings == before.castings + 1
    same = "exact_copies_across_splits", "near_copies_across_splits", "published_test_images_of_trained_castings"
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert len(members(after)) == 8 + 1 + 4, "a content that is known already has its group"


def test_a_step_that_is_repeated_gives_the_same_record(audit_images, parts, places):
    images = [Image(content) for part in parts for content in part[:2]]
    first = audit_images(*images)
    assert audit_images(*images) == first
    (places.data / "kept.sqlite").unlink()
    assert audit_images(*images) == first


def test_the_record_knows_its_files(audit_images, parts, places):
    record = audit_images(*(Image(content) for content in parts[0]))
    assert record.damage(places) is None
    record.groups.path(places).write_text("")
    assert "has changed" in record.damage(places)


CONTENTS = st.integers(0, 7)
ROWS = st.lists(st.tuples(CONTENTS, st.sampled_from(["train", "test", "validation", ""]), st.booleans()), max_size=20)
GROUPS = st.lists(st.integers(0, 4), min_size=8, max_size=8)


def rows_of(drawn: list[tuple[int, str, bool]]) -> list[Row]:
    return [
        Row(f"{number}", f"{content}", BAD if bad else GOOD, BASE, published, 300, 300, 1.0, 1.0, 1.0)
        for number, (content, published, bad) in enumerate(drawn)
    ]


@given(ROWS, st.sets(st.tuples(CONTENTS, CONTENTS).filter(lambda pair: pair[0] != pair[1]), max_size=8))
def test_changed_copies_across_are_counted_as_the_words_say(drawn, twins):
    rows = rows_of(drawn)
    copies = [Copy("", f"{one}", "", "", "", f"{other}", "", "", "turn 90", 0.99) for one, other in twins]
    near = {(f"{one}", f"{other}") for pair in twins for one, other in (pair, pair[::-1])}
    tested = [row.sha256 for row in rows if row.published == "test"]
    expected = [
        row
        for row in rows
        if row.published == "train"
        and row.sha256 not in tested
        and any((row.sha256, content) in near for content in tested)
    ]
    assert count_changed_across(rows, copies) == len(expected)


@given(ROWS, GROUPS)
def test_castings_of_train_and_of_two_labels_are_counted_as_the_words_say(drawn, numbers):
    rows, groups = rows_of(drawn), {f"{content}": f"group {number}" for content, number in enumerate(numbers)}

    def showing(name: str) -> list[Row]:
        return [row for row in rows if groups[row.sha256] == name]

    tests = [row for row in rows if row.published == "test"]
    known = [row for row in tests if any(one.published == "train" for one in showing(groups[row.sha256]))]
    assert count_trained_castings(rows, groups) == len(known)
    mixed = [name for name in set(groups.values()) if {row.label for row in showing(name)} == {GOOD, BAD}]
    assert count_of_two_labels(rows, groups) == len(mixed)


def test_the_surest_copy_before_it_tells_an_images_group():
    numbers = np.array([[0, 2], [1, 2], [0, 3], [2, 3]])
    pairs = Pairs(numbers[:, 0], numbers[:, 1], np.zeros(4, int), np.zeros((4, 2)), np.array([0.96, 0.99, 0.98, 0.97]))
    found = list(group_hints([None] * 4, pairs, 4, AuditSettings()))
    assert [one.copy for one in found] == [None, None, 1, 0]
    assert [one.likeness for one in found] == [0, 0, 0.99, 0.98]


def test_a_strip_counts_when_its_ring_fits():
    def strip(residual: float) -> Strip:
        return Strip(rings.Ring(None, None, residual), np.zeros((96, 512), np.uint8))

    none = Pairs(*(np.empty(0, int),) * 3, np.empty((0, 2)), np.empty(0))
    found = list(group_hints([strip(0.0075), strip(0.0076), None], none, 3, AuditSettings()))
    assert [one.strip is not None for one in found] == [True, False, False]
    assert [one.residual for one in found] == [0.0075, 0.0076, 1.0]


SAMPLE = SampleSettings(
    parts=30, train_images=240, test_images=80, exact_copies=10, transformed_copies=56, shared_parts=0.5
)


class PlantedSample:
    """A sample with planted faults, audited, and the truth about each file."""

    def __init__(self, places: Places) -> None:
        settings = FetchSettings(sample=SAMPLE)
        folder = extract.fn(fetch.fn(locate(settings, places), places), ClassSettings(), places)
        manifest = validate.fn(folder, (), Corrections(), ValidationSettings(), places)
        self.record = audit.fn(manifest, PartNames(), AuditSettings(), places)
        self.rows = read_table(manifest.table.path(places), Row)
        self.pairs = read_table(self.record.pairs.path(places), Copy)
        self.members = {member.sha256: member for member in read_table(self.record.groups.path(places), Member)}
        (truth,) = places.data.glob("archives/sample-*-truth/truth.csv")
        with open(truth, newline="") as opened:
            self.truth = {short_path(line["path"]): line for line in csv.DictReader(opened)}

    def shown(self, path: str) -> str:
        """The photograph that a file shows."""
        return short_path(self.truth[path]["copy_of"]) or path

    def part(self, path: str) -> str:
        return self.truth[path]["part"]


def short_path(path: str) -> str:
    """Below the data root."""
    return path.removeprefix("casting_data/casting_data/")


@pytest.fixture(scope="module")
def planted_sample(process, tmp_path_factory: pytest.TempPathFactory) -> PlantedSample:
    top: Path = tmp_path_factory.mktemp("planted")
    return PlantedSample(Places(data=top / "data", artifacts=top / "artifacts"))


def test_every_planted_copy_is_found_and_no_other(planted_sample):
    listed = {frozenset((pair.path, pair.copy_path)) for pair in planted_sample.pairs}
    files = defaultdict(list)
    for path in planted_sample.truth:
        files[planted_sample.shown(path)].append(path)
    true = {frozenset(two) for several in files.values() for two in combinations(several, 2)}
    assert len(true) >= 66
    assert len(listed & true) / len(true) >= 0.99
    assert len(listed & true) / len(listed) >= 0.99
    copies = [path for path, line in planted_sample.truth.items() if line["copy_of"]]
    with_its_own = {path for pair in listed & true for path in pair}
    assert sum(path in with_its_own for path in copies) / len(copies) >= 0.99


def test_what_was_done_to_a_copy_is_named(planted_sample):
    told = {(pair.path, pair.copy_path): pair.transform for pair in planted_sample.pairs}
    wrong = []
    for path, line in planted_sample.truth.items():
        if line["copy_of"]:
            said, done = told.get((short_path(line["copy_of"]), path), ""), line["transform"]
            kind, _, number = done.rpartition(" ")
            if kind == "brightness":
                found = re.fullmatch(r"brightness ([0-9.]+)", said)
                right = found is not None and abs(float(found[1]) / float(number) - 1) < 0.05  # white stays white
            else:
                right = said == {"": "equal", "quality 60": "encoded again"}.get(done, done)
            wrong += [] if right else [(done, said)]
    assert wrong == []


def test_photographs_of_one_part_are_one_group(planted_sample):
    contents = {row.sha256: row.path for row in planted_sample.rows}.items()
    groups = [planted_sample.members[sha256].group for sha256, _ in contents]
    parts = [planted_sample.part(path) for _, path in contents]
    together, true = (np.triu(np.equal.outer(names, names), 1) for names in (np.array(groups), np.array(parts)))
    assert (together & true).sum() / true.sum() >= 0.99
    assert (together & true).sum() / together.sum() >= 0.99
    most = sum(
        max(Counter(part for one, part in zip(groups, parts, strict=True) if one == name).values())
        for name in set(groups)
    )
    assert most / len(groups) >= 0.99
    assert planted_sample.record.castings == SAMPLE.parts


def test_the_numbers_are_those_of_the_truth(planted_sample):
    record, truth = planted_sample.record, planted_sample.truth
    kinds = Counter(line["fault"] for line in truth.values())
    assert record.exact_copies_across_splits == kinds["exact_copy"] == 10
    assert record.near_copies_across_splits == kinds["transformed_copy"] == 56
    assert (record.copies_of_two_labels, record.castings_of_two_labels) == (0, 0)
    assert record.rings == len({row.sha256 for row in planted_sample.rows}) == len(truth) - 10
    trained = {planted_sample.part(path) for path in truth if path.startswith("train")}
    expected = sum(path.startswith("test") and planted_sample.part(path) in trained for path in truth)
    assert record.published_test_images_of_trained_castings == expected
