"""Batches: every image once an epoch, in an order and in poses that the seed and the epoch alone decide."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def images():
    return np.arange(10 * 4 * 4, dtype=np.uint8).reshape(10, 4, 4, 1)


def read(images, *, epochs=2, seed=0, turn=False, batch_size=4):
    from tasks.images.batches import training_batches

    labels = np.arange(len(images), dtype=np.int32)
    dataset = training_batches(images, labels, batch_size=batch_size, epochs=epochs, seed=seed, turn=turn)
    return [(batch.numpy(), ids.numpy()) for batch, ids in dataset]


def test_an_epoch_shows_every_image_once_with_its_label(images):
    batches = read(images, epochs=3)
    assert [len(ids) for _, ids in batches] == [4, 4, 2] * 3
    for start in (0, 3, 6):
        epoch = batches[start : start + 3]
        assert sorted(np.concatenate([ids for _, ids in epoch])) == list(range(10))
    for pixels, ids in batches:
        np.testing.assert_array_equal(pixels, images[ids])


def test_epochs_differ_in_order_and_equal_seeds_agree(images):
    orders = [np.concatenate([ids for _, ids in read(images, seed=seed)]).tolist() for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0][:10] != orders[0][10:]


def test_an_epoch_does_not_depend_on_how_many_there_are(images):
    short, long = read(images, epochs=1, turn=True), read(images, epochs=4, turn=True)
    for (one, ids), (other, others) in zip(short, long, strict=False):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(ids, others)


def test_the_eight_poses_are_the_eight_flips_and_quarter_turns(images):
    from tasks.images.batches import posed

    picture = images[:1].astype(np.float32)
    poses = posed(np.repeat(picture, 8, axis=0), np.arange(8)).numpy()[..., 0]
    plane = picture[0, ..., 0]
    expected = [np.rot90(flipped, turns) for flipped in (plane, plane[:, ::-1]) for turns in range(4)]
    assert {pose.tobytes() for pose in poses} == {np.ascontiguousarray(one).tobytes() for one in expected}
    np.testing.assert_array_equal(poses[0], plane)


def test_turned_batches_show_several_poses_of_the_same_images(images):
    seen = {
        (int(label), pixels.tobytes())
        for batch, ids in read(images, epochs=20, turn=True)
        for pixels, label in zip(batch, ids, strict=True)
    }
    assert len(seen) > 40, "of 80 there are"
    for label, content in seen:
        assert sorted(np.frombuffer(content, np.float32)) == sorted(images[label].ravel())


def test_evaluation_keeps_the_order_and_drops_no_image(images):
    from tasks.images.batches import evaluation_batches

    batches = [batch.numpy() for batch in evaluation_batches(images, batch_size=4)]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(batches), images)
