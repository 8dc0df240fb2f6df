"""Augmentation: each image is altered in its own way and keeps what it shows."""

import numpy as np
import pytest

WIDTH = 24  # columns of a small strip


def test_the_eight_poses_are_the_eight_flips_and_quarter_turns(squares):
    from tasks.training.augmentation import apply_poses

    picture = squares[:1].astype(np.float32)
    poses = apply_poses(np.repeat(picture, 8, axis=0), np.arange(8)).numpy()[..., 0]
    plane = picture[0, ..., 0]
    expected = [np.rot90(flipped, turns) for flipped in (plane, plane[:, ::-1]) for turns in range(4)]
    assert {pose.tobytes() for pose in poses} == {np.ascontiguousarray(one).tobytes() for one in expected}
    np.testing.assert_array_equal(poses[0], plane)


def test_one_image_is_altered_in_another_way_than_its_neighbour(strips):
    from tasks.training.augmentation import AUGMENTATIONS

    for view, images in (
        ("ring", np.repeat(strips[:1], 16, axis=0)),
        ("raw", np.repeat(strips[:1, :, :12], 16, axis=0)),
    ):
        found = AUGMENTATIONS[view](images, np.array([3, 4], np.int64), False).numpy()
        assert len({one.tobytes() for one in found}) >= 5


def test_turning_and_mirroring_a_ring_keeps_every_column(strips, monkeypatch):
    """Its other alterations, of light and reach, are left out here."""
    from tasks.training import augmentation

    monkeypatch.setattr(augmentation, "MAX_ROW_SHIFT", 0)
    monkeypatch.setattr(augmentation, "MAX_LOG_GAIN", 0.0)
    shown = np.repeat(strips, 4, axis=0)
    altered = augmentation.augment_ring(shown, np.array([1, 2], np.int64), False).numpy()
    mirrored = set()
    for before, after in zip(shown.astype(np.float32), altered, strict=True):
        columns = [before[:, column].tobytes() for column in range(WIDTH)]
        places = [columns.index(np.ascontiguousarray(after[:, column]).tobytes()) for column in range(WIDTH)]
        assert sorted(places) == list(range(WIDTH))
        ways = {(later - sooner) % WIDTH for sooner, later in zip(places, places[1:], strict=False)}
        assert len(ways) == 1, "neighbours stay neighbours, around the turn"
        mirrored |= ways
    assert mirrored == {1, WIDTH - 1}, "some strips run backwards"


def test_fringes_are_a_few_arcs_on_some_strips_and_faint_in_the_second_plane(monkeypatch):
    from tasks.training import augmentation

    monkeypatch.setattr(augmentation, "MAX_LOG_GAIN", 0.0)
    plain, seeds = np.full((64, 96, 512, 2), 128, np.uint8), np.array([1, 2], np.int64)
    altered = augmentation.augment_ring(plain, seeds, True).numpy() - 128
    strongest = np.abs(altered).max(axis=(1, 2))
    np.testing.assert_allclose(altered[..., 0] / 60, altered[..., 1] / 15, atol=1e-6)
    assert strongest[:, 0].max() <= 2 * 60
    share = np.mean(strongest[:, 0] > 1)
    assert share == pytest.approx(1 - (1 - augmentation.FRINGE_PROBABILITY) ** 2, abs=0.12)
    wide = (np.abs(altered[..., 0]).max(axis=1) > 1).sum(axis=1)
    assert 0 < wide.max() < 512 / 4, "most of the strip is left as it is"
    np.testing.assert_array_equal(augmentation.augment_ring(plain, seeds, False).numpy(), plain)


@pytest.mark.parametrize("shape", [(32, 32), (32, 48)])
def test_marks_move_with_the_detail_that_they_mark(shape):
    """Each pixel of the third plane says what the first showed there before."""
    import tensorflow as tf

    from tasks.training.augmentation import augment_detail

    first = np.random.default_rng(0).choice([0, 255], (16, *shape)).astype(np.uint8)
    pictures = np.stack([first, first, first], axis=-1)
    shown = augment_detail(tf.constant(pictures), tf.constant([3, 4], tf.int64), False).numpy()
    assert shown.shape == pictures.shape
    assert np.array_equal(shown[..., 2] == 255, shown[..., 0] > 128)
    assert set(np.unique(shown[..., 2])) == {0, 255}, "marks keep their levels"
    assert len({picture.tobytes() for picture in shown[..., 2]}) == 16
    for picture in shown[..., 2]:
        assert (picture == 255).sum() in {(mark == 255).sum() for mark in first}


def test_detail_without_marks_keeps_its_two_planes():
    import tensorflow as tf

    from tasks.training.augmentation import augment_detail

    nothing = np.full((4, 16, 24, 2), 128, np.uint8)
    assert (augment_detail(tf.constant(nothing), tf.constant([0, 1], tf.int64), True).numpy() == 128).all()
