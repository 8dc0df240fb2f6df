"""Label suspects: wrong labels of whole parts and of single photographs are found, whatever the order, and right ones are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.label_suspects import correction_of, find_suspects
from tasks.records.rows import Prediction, Suspect
from tasks.settings.settings import Classes
from tasks.storage.tables import read_table, store_table

CLASSES = Classes()
DEFECT, GOOD = CLASSES.defect, CLASSES.good
OTHER = {DEFECT: GOOD, GOOD: DEFECT}
SURE = {DEFECT: 0.97, GOOD: 0.03}  # how sure a network is that learned from some wrong labels


def photograph(part: str, number: int, label: str, probability: float, cause: str = "above_limit") -> Prediction:
    content = f"{part or 'alone'}-{number}"
    return Prediction(f"{content}.jpeg", content, "test", "base", label, part, probability, "review", "", cause)


def part(name: str, labels: list[str], truth: str) -> list[Prediction]:
    """Photographs of a part of which the network knows what it is."""
    return [photograph(name, number, label, SURE[truth]) for number, label in enumerate(labels)]


def find(*parts: list[Prediction]) -> list[Suspect]:
    return find_suspects([image for images in parts for image in images], CLASSES)


def names(suspects: list[Suspect]) -> list[str]:
    return [suspect.sha256 for suspect in suspects]


def test_labels_that_the_network_confirms_are_not_suspected():
    assert find(part("a", [DEFECT] * 5, DEFECT), part("b", [GOOD], GOOD)) == []
    assert find([]) == []


@pytest.mark.parametrize("count", [1, 2, 30])
@pytest.mark.parametrize("truth", [DEFECT, GOOD])
def test_a_part_that_is_labeled_wrongly_as_a_whole_is_found(count, truth):
    suspects = find(part("a", [OTHER[truth]] * count, truth), part("b", [truth] * 3, truth))
    assert names(suspects) == [f"a-{number}" for number in range(count)]
    assert {(suspect.kind, suspect.suggested, suspect.images, suspect.suspects, suspect.contradictions) for suspect in suspects} == {
        ("part", truth, count, count, count)
    }  # fmt: skip


def test_a_photograph_whose_label_differs_from_the_others_of_its_part_is_found_even_where_the_network_agrees_with_it():
    images = part("a", [DEFECT] * 9, DEFECT) + [photograph("a", 9, GOOD, 0.02)]
    (suspect,) = find(images)
    assert (suspect.sha256, suspect.kind, suspect.suggested) == ("a-9", "image", DEFECT)
    assert (suspect.images, suspect.suspects, suspect.contradictions) == (10, 1, 0)


def test_one_photograph_that_the_network_judges_otherwise_is_the_networks_error():
    assert find([*part("a", [DEFECT] * 9, DEFECT), photograph("a", 9, DEFECT, 0.02)]) == []


def test_where_as_many_labels_say_the_one_as_the_other_the_network_decides():
    for truth in (DEFECT, GOOD):
        (suspect,) = find(part("a", [GOOD, DEFECT], truth))
        assert (suspect.label, suspect.suggested, suspect.kind) == (OTHER[truth], truth, "image")


def test_where_nothing_speaks_for_either_class_the_good_label_is_suspected():
    (suspect,) = find([photograph("a", 0, GOOD, 0.5), photograph("a", 1, DEFECT, 0.5)])
    assert (suspect.label, suspect.score) == (GOOD, 0.5)


def test_a_part_with_both_labels_comes_before_one_that_only_the_network_contradicts():
    mixed, whole = part("mixed", [GOOD] * 9 + [DEFECT], GOOD), part("whole", [GOOD] * 9, DEFECT)
    assert names(find(whole, mixed))[0] == "mixed-9"


def test_an_unsure_network_suspects_no_part():
    assert find([photograph("a", number, DEFECT, 0.3) for number in range(20)]) == []


@pytest.mark.parametrize("cause", ["no_ring", "poor_ring", "no_number"])
def test_an_image_that_shows_the_network_nothing_is_no_suspect_and_no_witness(cause):
    unjudged = [photograph("a", number, GOOD, 0.5, cause) for number in range(5, 9)]
    assert find(unjudged) == []
    suspects = find([*part("a", [DEFECT] * 2, GOOD), *unjudged])
    assert [(suspect.images, suspect.kind) for suspect in suspects] == [(2, "part")] * 2


def test_images_without_a_part_are_parts_of_their_own():
    suspects = find([photograph("", 0, GOOD, 0.99), photograph("", 1, GOOD, 0.01), photograph("", 2, DEFECT, 0.99)])
    assert [(suspect.sha256, suspect.images) for suspect in suspects] == [("alone-0", 1)]


def test_equal_files_count_once_by_their_first_path():
    image = photograph("a", 0, GOOD, 0.99)
    (suspect,) = find([image, image._replace(path="again.jpeg")])
    assert (suspect.path, suspect.images) == (image.path, 1)


def test_the_photograph_that_the_network_contradicts_most_stands_for_its_part():
    images = [photograph("a", number, GOOD, chance) for number, chance in enumerate([0.9, 0.999, 0.95])]
    assert names(find(images)) == ["a-1", "a-2", "a-0"]


def test_suspects_and_their_corrections_are_tables(places):
    suspects = find(part("a", [GOOD] * 2, DEFECT), part("b", [DEFECT] * 5 + [GOOD], DEFECT))
    assert read_table(store_table("suspects", suspects, Suspect, places).path(places), Suspect) == suspects
    corrections = [correction_of(suspect) for suspect in suspects]
    assert [correction.correction for correction in corrections] == [DEFECT] * 3
    assert corrections[0].why == "1 of 6 photographs of its part contradict the others"
    assert corrections[1].why == "a network that never saw its part contradicts the label"


PARTS = st.lists(
    st.tuples(st.sampled_from([DEFECT, GOOD]), st.integers(3, 9), st.sampled_from(["right", "part", "image"])),
    max_size=6,
)


@given(PARTS, st.randoms(use_true_random=False))
def test_planted_noise_is_found_and_nothing_else_whatever_the_order(drawn, shuffler):
    images, wrong = [], set()
    for number, (truth, count, noise) in enumerate(drawn):
        flipped = {"right": 0, "part": count, "image": 1}[noise]
        images += part(f"{number}", [OTHER[truth]] * flipped + [truth] * (count - flipped), truth)
        wrong |= {f"{number}-{place}" for place in range(flipped)}
    shuffler.shuffle(images)
    suspects = find_suspects(images, CLASSES)
    assert set(names(suspects)) == wrong
    assert [suspect.score for suspect in suspects] == sorted((suspect.score for suspect in suspects), reverse=True)
    groups = [suspect.group for suspect in suspects]
    assert all(
        groups[groups.index(group) :][: groups.count(group)] == [group] * groups.count(group) for group in groups
    )
