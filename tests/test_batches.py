"""Batches: every stratum its share of an epoch, in an order and in forms that the seed and the epoch alone decide."""

from collections import Counter

import numpy as np
import pytest

pytestmark = pytest.mark.slow
WIDTH = 24  # columns of a small strip


def examples(images: np.ndarray, strata: list[int] | None = None):
    """Their labels are their numbers, by which a batch tells what it shows."""
    from tasks.images.batches import Examples

    count = len(images)
    return Examples(images, np.arange(count, dtype=np.int32), np.array(strata or [0] * count, np.int32))


@pytest.fixture
def squares() -> np.ndarray:
    return np.arange(10 * 4 * 4, dtype=np.uint8).reshape(10, 4, 4, 1)


@pytest.fixture
def strips() -> np.ndarray:
    """Strips whose columns all differ."""
    return np.random.default_rng(0).integers(0, 256, (6, 12, WIDTH, 2), np.uint8)


def read(shown, *, epochs=range(2), seed=0, altered=None, batch_size=4) -> list[tuple[np.ndarray, np.ndarray]]:
    from tasks.images.batches import training_batches

    dataset = training_batches(shown, batch_size=batch_size, epochs=epochs, seed=seed, altered=altered)
    return [(batch.numpy(), ids.numpy()) for batch, ids in dataset]


def order(batches) -> list[int]:
    return np.concatenate([ids for _, ids in batches]).tolist()


def test_a_single_stratum_is_shown_whole_with_its_labels(squares):
    from tasks.images.batches import steps

    batches = read(examples(squares), epochs=range(3))
    assert [len(ids) for _, ids in batches] == [4, 4, 2] * 3
    assert steps(examples(squares), 4) == 3
    for start in (0, 3, 6):
        assert sorted(order(batches[start : start + 3])) == list(range(10))
    for pixels, ids in batches:
        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels, squares[ids])


def test_epochs_differ_in_order_and_equal_seeds_agree(squares):
    orders = [order(read(examples(squares), seed=seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0][:10] != orders[0][10:]


@pytest.mark.parametrize(("view", "strata"), [("raw", None), ("raw", [0] * 7 + [1] * 3), ("ring", [0, 0, 0, 0, 1, 2])])
def test_a_training_that_takes_up_an_epoch_sees_what_another_saw_in_it(squares, strips, view, strata):
    shown = examples(squares if view == "raw" else strips, strata)
    whole, tail = (read(shown, epochs=epochs, seed=5, altered=view) for epochs in (range(5), range(3, 5)))
    assert len(whole) == 5 * len(tail) // 2
    for (one, ids), (other, others) in zip(whole[-len(tail) :], tail, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(ids, others)


def test_strata_have_equal_shares_however_few_their_images_are(squares):
    strata = [0] * 6 + [1] * 3 + [7]
    for start in range(4):
        shown = Counter(order(read(examples(squares, strata), epochs=range(start, start + 1))))
        shares = Counter()
        for number, times in shown.items():
            shares[strata[number]] += times
        assert sorted(shares.values()) == [3, 3, 4], "ten images, as an epoch of all has"
        assert shown[9] >= 3, "the only one of its stratum"
        assert max(shown[number] for number in range(6)) == 1, "of a large stratum none comes twice"


def test_a_large_stratum_shows_others_in_other_epochs(squares):
    shown = order(read(examples(squares, [0] * 8 + [1] * 2), epochs=range(8)))
    assert set(shown) == set(range(10))


def test_images_of_a_small_stratum_take_turns(squares):
    shown = Counter(order(read(examples(squares, [0] * 8 + [1] * 2), epochs=range(1))))
    assert {shown[8], shown[9]} <= {2, 3}, "five places for two images"


def test_the_eight_poses_are_the_eight_flips_and_quarter_turns(squares):
    from tasks.images.batches import posed

    picture = squares[:1].astype(np.float32)
    poses = posed(np.repeat(picture, 8, axis=0), np.arange(8)).numpy()[..., 0]
    plane = picture[0, ..., 0]
    expected = [np.rot90(flipped, turns) for flipped in (plane, plane[:, ::-1]) for turns in range(4)]
    assert {pose.tobytes() for pose in poses} == {np.ascontiguousarray(one).tobytes() for one in expected}
    np.testing.assert_array_equal(poses[0], plane)


def test_altered_batches_show_images_in_many_forms_and_unaltered_ones_as_they_are(squares, strips):
    for images, view in ((squares, "raw"), (strips, "ring")):
        altered = {
            (int(label), pixels.tobytes())
            for batch, ids in read(examples(images), epochs=range(20), altered=view)
            for pixels, label in zip(batch, ids, strict=True)
        }
        assert len(altered) > 4 * len(images)
        plain = {pixels.tobytes() for batch, _ in read(examples(images), epochs=range(3)) for pixels in batch}
        assert plain == {image.astype(np.float32).tobytes() for image in images}


def test_one_image_is_altered_in_another_way_than_its_neighbour(strips):
    from tasks.images.batches import ALTERATIONS

    for view, images in (
        ("ring", np.repeat(strips[:1], 16, axis=0)),
        ("raw", np.repeat(strips[:1, :, :12], 16, axis=0)),
    ):
        found = ALTERATIONS[view](images, np.array([3, 4], np.int64), False).numpy()
        assert len({one.tobytes() for one in found}) >= 5


def test_turning_and_mirroring_a_ring_keeps_every_column(strips, monkeypatch):
    """Its other alterations, of light and reach, are left out here."""
    from tasks.images import batches

    monkeypatch.setattr(batches, "ROWS", 0)
    monkeypatch.setattr(batches, "GAIN", 0.0)
    shown = np.repeat(strips, 4, axis=0)
    altered = batches.alter_ring(shown, np.array([1, 2], np.int64), False).numpy()
    mirrored = set()
    for before, after in zip(shown.astype(np.float32), altered, strict=True):
        columns = [before[:, column].tobytes() for column in range(WIDTH)]
        places = [columns.index(np.ascontiguousarray(after[:, column]).tobytes()) for column in range(WIDTH)]
        assert sorted(places) == list(range(WIDTH))
        ways = {(later - sooner) % WIDTH for sooner, later in zip(places, places[1:], strict=False)}
        assert len(ways) == 1, "neighbours stay neighbours, around the turn"
        mirrored |= ways
    assert mirrored == {1, WIDTH - 1}, "some strips run backwards"


def test_evaluation_keeps_the_order_and_drops_no_image(squares):
    from tasks.images.batches import evaluation_batches

    batches = [batch.numpy() for batch in evaluation_batches(squares, batch_size=4)]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert batches[0].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate(batches), squares)


def test_fringes_are_a_few_arcs_on_some_strips_and_faint_in_the_second_plane(monkeypatch):
    from tasks.images import batches

    monkeypatch.setattr(batches, "GAIN", 0.0)
    plain, seeds = np.full((64, 96, 512, 2), 128, np.uint8), np.array([1, 2], np.int64)
    altered = batches.alter_ring(plain, seeds, True).numpy() - 128
    strongest = np.abs(altered).max(axis=(1, 2))
    np.testing.assert_allclose(altered[..., 0] / 60, altered[..., 1] / 15, atol=1e-6)
    assert strongest[:, 0].max() <= 2 * 60
    share = np.mean(strongest[:, 0] > 1)
    assert share == pytest.approx(1 - (1 - batches.FRINGED) ** 2, abs=0.12)
    wide = (np.abs(altered[..., 0]).max(axis=1) > 1).sum(axis=1)
    assert 0 < wide.max() < 512 / 4, "most of the strip is left as it is"
    np.testing.assert_array_equal(batches.alter_ring(plain, seeds, False).numpy(), plain)


def test_only_strips_of_several_strata_show_fringes(monkeypatch):
    from tasks.images import batches

    monkeypatch.setattr(batches, "FRINGED", 1.0)
    monkeypatch.setattr(batches, "GAIN", 0.0)
    plain = np.full((8, 96, 512, 2), 128, np.uint8)
    for strata, fringed in ((np.zeros(8, np.int32), False), (np.arange(8, dtype=np.int32) % 2, True)):
        shown = batches.Examples(plain, np.zeros(8, np.int32), strata)
        assert any((images != 128).any() for images, _ in read(shown, epochs=range(1), altered="ring")) == fringed
