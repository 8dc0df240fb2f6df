"""Input pipeline: every stratum has its share of an epoch, and seed and epoch alone decide order and alterations."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest


def examples(images: np.ndarray, strata: list[int] | None = None):
    """Their labels are their numbers, by which a batch tells what it shows."""
    from tasks.training.input_pipeline import Examples

    count = len(images)
    return Examples(images, np.arange(count, dtype=np.int32), np.array(strata or [0] * count, np.int32))


def read(shown, *, epochs=range(2), seed=0, augment_view=None, batch_size=4) -> list[tuple[np.ndarray, np.ndarray]]:
    from tasks.training.input_pipeline import training_batches

    dataset = training_batches(shown, batch_size=batch_size, epochs=epochs, seed=seed, augment_view=augment_view)
    return [(batch.numpy(), ids.numpy()) for batch, ids in dataset]


def order(batches) -> list[int]:
    return np.concatenate([ids for _, ids in batches]).tolist()


def test_a_single_stratum_is_shown_whole_with_its_labels(squares):
    from tasks.training.input_pipeline import steps

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
    whole, tail = (read(shown, epochs=epochs, seed=5, augment_view=view) for epochs in (range(5), range(3, 5)))
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


def test_altered_batches_show_images_in_many_forms_and_unaltered_ones_as_they_are(squares, strips):
    for images, view in ((squares, "raw"), (strips, "ring")):
        altered = {
            (int(label), pixels.tobytes())
            for batch, ids in read(examples(images), epochs=range(20), augment_view=view)
            for pixels, label in zip(batch, ids, strict=True)
        }
        assert len(altered) > 4 * len(images)
        plain = {pixels.tobytes() for batch, _ in read(examples(images), epochs=range(3)) for pixels in batch}
        assert plain == {image.astype(np.float32).tobytes() for image in images}


def test_evaluation_keeps_the_order_and_drops_no_image(squares):
    from tasks.training.input_pipeline import evaluation_batches

    batches = [batch.numpy() for batch, _ in evaluation_batches(examples(squares), batch_size=4)]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert batches[0].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate(batches), squares)


def test_only_strips_of_several_strata_show_fringes(monkeypatch):
    from tasks.training import augmentation, input_pipeline

    monkeypatch.setattr(augmentation, "FRINGE_PROBABILITY", 1.0)
    monkeypatch.setattr(augmentation, "MAX_LOG_GAIN", 0.0)
    plain = np.full((8, 96, 512, 2), 128, np.uint8)
    for strata, fringed in ((np.zeros(8, np.int32), False), (np.arange(8, dtype=np.int32) % 2, True)):
        shown = input_pipeline.Examples(plain, np.zeros(8, np.int32), strata)
        assert any((images != 128).any() for images, _ in read(shown, epochs=range(1), augment_view="ring")) == fringed


def test_marks_come_with_the_images_that_they_mark_and_labels_by_the_names_of_outputs():
    from tasks.training.input_pipeline import evaluation_batches, training_batches

    pixels = np.random.default_rng(0).choice([0, 255], (6, 16, 16, 2)).astype(np.uint8)
    marked = replace(examples(pixels), marks=pixels[..., 0].copy())
    plain = training_batches(marked, batch_size=4, epochs=range(1), seed=0, augment_view=None)
    shown = training_batches(marked, batch_size=4, epochs=range(1), seed=0, augment_view="detail")
    for batches in (plain, shown, evaluation_batches(marked, batch_size=4)):
        numbers = []
        for images, targets in batches:
            assert images.shape[-1] == 2
            assert np.array_equal(targets["map"].numpy() == 255, images[..., 0].numpy() > 128)
            numbers += targets["logits"].numpy().tolist()
        assert sorted(numbers) == list(range(6))
