"""Castings: photographs of one part are led by its first, whatever comes later, and no two groups become one."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from tasks.dataset import grouping as noun
from tasks.dataset.grouping import GroupHints, assign_groups, correlate_marks, spectra
from tasks.images.ring_search import find
from tasks.images.rings import unwrap
from tasks.records.rows import Member
from tasks.settings.settings import AuditSettings
from tasks.sources.synthetic.cameras import CAMERAS, NEW_CAMERA
from tasks.sources.synthetic.parts import draw_casting
from tasks.sources.synthetic.rendering import photograph

LIMIT = AuditSettings().casting_limit
PARTS = 5


@cache
def metal(part: int) -> np.ndarray:
    """Marks of a part, float (96, 512)."""
    spots = np.random.default_rng([part, 5]).normal(size=(96, 512))
    smooth = ndimage.gaussian_filter(spots, (3, 4), mode=("nearest", "wrap"))
    return smooth * 30 / smooth.std()


@cache
def strip(one: int, other: int, turn: int) -> np.ndarray:
    """A photograph of a ring that has marks of two parts, turned and with noise: uint8 (96, 512)."""
    noise = np.random.default_rng([one, other, turn]).normal(0, 6, (96, 512))
    marks = metal(one) if one == other else (metal(one) + metal(other)) / np.sqrt(2)
    return (np.roll(marks, turn, axis=1) + 140 + noise).clip(0, 255).astype(np.uint8)


def test_marks_are_of_norm_one_and_alike_to_themselves():
    marks = spectra(np.stack([strip(0, 0, 0), strip(1, 1, 30)]))
    assert (marks.shape, marks.dtype) == ((2, 19, 129), np.complex64)
    assert correlate_marks(marks, marks).diagonal() == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.parametrize("turn", [0, 2, 128, 256, 511])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_ring_is_as_alike_to_itself_turned_or_mirrored(turn, mirrored):
    one = strip(0, 0, 0)
    other = np.roll(one[:, ::-1] if mirrored else one, turn, axis=1)
    assert (
        correlate_marks(spectra(one[None]), spectra(other[None]))[0, 0] > 0.95
    )  # an odd turn falls between two columns
    if turn % 2 == 0:
        assert correlate_marks(spectra(one[None]), spectra(other[None]))[0, 0] == pytest.approx(1, abs=1e-3)


def test_likeness_is_the_same_from_both_sides():
    marks = spectra(np.stack([strip(one, other, 9 * one) for one in range(4) for other in range(4)]))
    both = correlate_marks(marks, marks)
    assert both == pytest.approx(both.T, abs=1e-4)
    assert (both <= 1 + 1e-4).all()


def test_other_parts_are_not_alike_and_halves_are_in_between():
    whole = spectra(np.stack([strip(part, part, 3 * part) for part in range(PARTS)]))
    likeness = correlate_marks(whole, whole)
    assert likeness[~np.eye(PARTS, dtype=bool)].max() < 0.3
    half = correlate_marks(spectra(strip(0, 1, 40)[None]), whole)[0]
    assert half[:2].min() > LIMIT > half[2:].max()


def test_grooves_and_glare_are_no_marks():
    """A bright row is a groove of the lathe, a bright column is light."""
    rows, columns = (20 * np.random.default_rng(3).normal(size=size) for size in ((96, 1), (1, 512)))
    glare = ndimage.gaussian_filter(columns, (0, 25), mode="wrap") * 10
    plain = strip(0, 0, 0).astype(float)
    lit = (plain + rows + glare).clip(0, 255).astype(np.uint8)
    assert correlate_marks(spectra(strip(0, 0, 0)[None]), spectra(lit[None]))[0, 0] > 0.85
    one, other = (
        (140 + rows + glare + np.random.default_rng(seed).normal(0, 2, (96, 512))).clip(0, 255).astype(np.uint8)
        for seed in (1, 2)
    )
    assert correlate_marks(spectra(one[None]), spectra(other[None]))[0, 0] < 0.3


@pytest.mark.parametrize("level", [0, 100, 255])
def test_an_even_strip_has_no_marks_and_does_no_harm(level):
    even = spectra(np.full((2, 96, 512), level, np.uint8))
    assert np.isfinite(even).all()
    assert np.abs(correlate_marks(even, spectra(strip(0, 0, 0)[None]))).max() < 0.1
    assert np.abs(correlate_marks(even, even)).max() < 0.1


@pytest.fixture(scope="module")
def photographed() -> tuple[np.ndarray, np.ndarray]:
    """The marks of eight drawn castings by all cameras, the new one last, and the number of each's casting."""
    strips, parts = [], []
    for part in range(8):
        rng = np.random.default_rng([part, 11])
        casting = draw_casting(rng)
        for camera in (*CAMERAS, NEW_CAMERA):
            pixels = photograph(casting, camera, rng).pixels
            strips.append(unwrap(pixels, find(pixels)))
            parts.append(part)
    return spectra(np.stack(strips)), np.array(parts)


def test_photographs_of_a_casting_are_told_from_those_of_all_others(photographed):
    marks, parts = photographed
    ordinary = np.arange(len(parts)) % (len(CAMERAS) + 1) < len(CAMERAS)
    likeness = correlate_marks(marks[ordinary], marks[ordinary])
    same = np.equal.outer(parts[ordinary], parts[ordinary])
    assert likeness[same].min() > LIMIT + 0.1
    assert likeness[~same].max() < LIMIT - 0.2


def test_the_new_camera_too_sees_a_casting_more_alike_to_itself_than_to_others(photographed):
    marks, parts = photographed
    likeness, same = correlate_marks(marks, marks), np.equal.outer(parts, parts)
    assert likeness[same].min() > 1.5 * likeness[~same].max()


class Shot(NamedTuple):
    """An image in a sequence: parts whose marks it has, whether its ring is found, and how far back its copy lies, if at all."""

    one: int
    other: int
    turn: int
    ringed: bool
    back: int | None


SHOTS = st.lists(
    st.builds(
        Shot,
        st.integers(0, PARTS - 1),
        st.integers(0, PARTS - 1),
        st.sampled_from([0, 64, 300]),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([None, None, None, 1, 2, 5]),
    ),
    max_size=18,
)
BLOCKS = st.sampled_from([1, 2, 3, 5, 256])


def known(shots: list[Shot]) -> list[GroupHints]:
    return [
        GroupHints(
            strip(shot.one, shot.other, shot.turn) if shot.ringed else None,
            residual=0.001 if shot.ringed else 1.0,
            copy=number - shot.back if shot.back and shot.back <= number else None,
            likeness=0.98,
        )
        for number, shot in enumerate(shots)
    ]


def grouped(some: list[GroupHints], block: int = 256) -> list[Member]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(noun, "BLOCK", block)
        patched.setattr(noun, "LEADERS", block)
        return assign_groups([f"{number:02}" for number in range(len(some))], iter(some), LIMIT)


def by_the_words(some: list[GroupHints]) -> list[tuple[str, float]]:
    """Group and likeness of each, one after the other."""
    found, leaders = [], []
    for number, one in enumerate(some):
        marks = spectra(one.strip[None]) if one.strip is not None else None
        asked = leaders if marks is not None else []
        near = [(float(correlate_marks(spectra(some[leader].strip[None]), marks)[0, 0]), leader) for leader in asked]
        score, leader = max(near, default=(-1.0, -1))
        if one.copy is not None:
            found.append((found[one.copy][0], one.likeness))
        elif score >= LIMIT:
            found.append((f"{leader:02}", score))
        else:
            found.append((f"{number:02}", 1.0))
            if marks is not None:
                leaders.append(number)
    return found


@given(SHOTS, BLOCKS)
def test_every_image_joins_its_copy_or_the_most_alike_leader_or_leads(shots, block):
    some = known(shots)
    members, expected = grouped(some, block), by_the_words(some)
    assert [member.group for member in members] == [group for group, _ in expected]
    assert [member.alike for member in members] == pytest.approx([score for _, score in expected], abs=1e-3)


@given(SHOTS, st.integers(0, 18), BLOCKS, BLOCKS)
def test_what_comes_later_changes_nothing(shots, number, block, other):
    some = known(shots)
    assert grouped(some[:number], other) == grouped(some, block)[:number]


@given(SHOTS, BLOCKS)
def test_a_group_is_led_by_its_first_image(shots, block):
    first: dict[str, str] = {}
    for member in grouped(known(shots), block):
        assert member.group == first.setdefault(member.group, member.sha256)


def test_an_image_that_is_alike_to_two_groups_joins_one_and_they_stay_two():
    shots = [Shot(0, 0, 0, True, None), Shot(1, 1, 0, True, None), Shot(0, 1, 0, True, None), Shot(1, 1, 64, True, None)]  # fmt: skip
    groups = [member.group for member in grouped(known(shots))]
    assert groups[:2] == ["00", "01"]
    assert groups[2] in {"00", "01"}
    assert groups[3] == "01"


def test_photographs_turned_and_mirrored_join_their_casting():
    turned = [strip(0, 0, turn)[:, :: -1 if turn else 1] for turn in (0, 64, 300)]
    some = [GroupHints(np.ascontiguousarray(one), 0.001, None, 0.0) for one in (*turned, strip(1, 1, 0))]
    assert [member.group for member in grouped(some)] == ["00", "00", "00", "03"]


def test_a_copy_joins_its_twin_though_its_ring_says_otherwise():
    some = known([Shot(0, 0, 0, True, None), Shot(1, 1, 0, True, 1), Shot(1, 1, 64, True, None)])
    members = grouped(some)
    assert members[1] == Member("01", "00", 0.98, 0.001)
    assert members[2].group == "02", "a follower leads nobody"


def test_an_image_without_ring_and_twin_leads_its_own_and_nobody_but_its_copies():
    some = known([Shot(0, 0, 0, False, None), Shot(0, 0, 64, True, None), Shot(0, 0, 0, False, 2), Shot(1, 1, 0, False, None)])  # fmt: skip
    members = grouped(some)
    assert [member.group for member in members] == ["00", "01", "00", "03"]
    assert [member.residual for member in members] == [1.0, 0.001, 1.0, 1.0]


def test_no_image_has_no_group():
    assert assign_groups([], [], LIMIT) == []


def test_no_more_than_a_block_is_held_in_memory(monkeypatch):
    monkeypatch.setattr(noun, "BLOCK", 3)
    sizes = []
    whole = noun.spectra_of
    monkeypatch.setattr(noun, "spectra_of", lambda strips: sizes.append(len(strips)) or whole(strips))
    assign_groups([f"{number}" for number in range(8)], known([Shot(0, 0, 0, True, None)] * 8), LIMIT)
    assert sizes == [3, 3, 2]
