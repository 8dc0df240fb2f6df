"""Ellipses: the fit finds the ellipse of the points, though some of them lie elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.images.ellipses import Ellipse, along_rays, circle, fit_conic

RAYS = 360
ALL = np.ones(RAYS, bool)


def ellipse(long: float, short: float, turn: float, away: float = 0.0, towards: float = 0.0) -> Ellipse:
    """Half axes, the long one turned by radians; the center `away` short axes from 0."""
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = away * short * np.array([np.cos(towards), np.sin(towards)])
    return Ellipse(center, axes @ np.diag([long, short]) @ axes.T)


ANGLES = st.floats(0, 6.28)
ELLIPSES = st.builds(
    lambda size, flat, turn, away, towards: ellipse(size, size * flat, turn, away, towards),
    st.floats(0.1, 1_000),
    st.floats(0.5, 1),
    ANGLES,
    st.floats(0, 0.25),
    ANGLES,
)
FORMS = st.builds(ellipse, st.floats(0.5, 2), st.floats(0.5, 2), ANGLES, st.floats(0, 0.3), ANGLES)
SEEDS = st.integers(0, 2**32 - 1)


def edge_distance(one: Ellipse, other: Ellipse) -> float:
    """How far the edges lie from each other at most, as a share of the size of the second."""
    off = one.points(RAYS) - other.center[:, None]
    return float(np.abs(np.linalg.norm(off, axis=0) * (1 - other.reach(off, other.center))).max()) / other.size()


@given(FORMS)
def test_the_ellipse_through_points_of_an_ellipse_is_that_ellipse(true):
    assert edge_distance(fit_conic(true.points(40)), true) < 1e-8


@given(ELLIPSES)
def test_distances_along_rays_give_the_ellipse_that_they_end_at(true):
    fit = along_rays(true.reach(circle(RAYS)), ALL, least=0.004)
    assert edge_distance(fit.ellipse, true) < 1e-8
    assert fit.residual < 1e-8
    assert fit.share == 1


@given(ELLIPSES, SEEDS, st.sampled_from([(0.88, 1.12), (0.7, 1.3), (0.5, 0.9), (1.1, 1.25)]))
def test_a_fifth_of_the_points_may_lie_elsewhere(true, seed, where):
    generator = np.random.default_rng(seed)
    distance = true.reach(circle(RAYS))
    distance[generator.choice(RAYS, RAYS // 5, replace=False)] *= generator.uniform(*where, RAYS // 5)
    fit = along_rays(distance, ALL, least=0.004)
    assert edge_distance(fit.ellipse, true) < 1e-3
    assert 0.8 <= fit.share < 0.87
    assert fit.residual < 1e-3


@given(ELLIPSES, SEEDS)
def test_an_arc_that_is_drawn_elsewhere_draws_nothing_with_it(true, seed):
    distance = true.reach(circle(RAYS))
    distance[np.arange(RAYS // 18) + seed % (RAYS - RAYS // 18)] *= 1.1  # flash hides a part of the edge
    assert edge_distance(along_rays(distance, ALL, least=0.004).ellipse, true) < 1e-6


@given(ELLIPSES, SEEDS)
def test_noise_moves_the_ellipse_by_less_than_itself(true, seed):
    noise = np.random.default_rng(seed).normal(0, 0.01, RAYS)
    fit = along_rays(true.reach(circle(RAYS)) * (1 + noise), ALL, least=0.004)
    assert edge_distance(fit.ellipse, true) < 0.01
    assert 0.003 < fit.residual < 0.015  # the median of |noise| is 0.0067; a flat ellipse is longer than its size


def test_what_is_not_usable_does_not_count():
    true = ellipse(100, 90, 0.3)
    distance, usable = true.reach(circle(RAYS)), ALL.copy()
    distance[:120] *= 1.5
    usable[:120] = False
    assert edge_distance(along_rays(distance, usable, least=0.004).ellipse, true) < 1e-8


@pytest.mark.parametrize("count", [0, 1, 89])
def test_fewer_than_a_quarter_of_the_rays_are_no_ellipse(count):
    usable = np.arange(RAYS) % 360 < count
    assert along_rays(ellipse(100, 90, 0.3).reach(circle(RAYS)), usable, least=0.004) is None
    assert along_rays(ellipse(100, 90, 0.3).reach(circle(RAYS)), np.arange(RAYS) % 4 == 0, least=0.004)


LINE = np.linspace(-1, 1, 50)


@pytest.mark.parametrize(
    "points",
    [
        np.stack([LINE, np.full(50, 0.5)]),
        np.stack([LINE, 2 * LINE + 0.1]),
        np.stack([LINE, LINE**2 - 0.5]),
        np.stack([LINE, LINE**2 - 0.4]),
        np.stack([np.cosh(LINE) * np.tile([1, -1], 25), np.sinh(LINE)]),
        np.zeros((2, 50)),
        np.ones((2, 50)),
        np.eye(2),
        np.empty((2, 0)),
    ],
    ids=[
        "a level line",
        "a line",
        "a parabola",
        "another parabola",
        "a hyperbola",
        "zero",
        "one point",
        "two points",
        "no points",
    ],
)
def test_points_that_lie_on_no_ellipse_give_none(points):
    assert fit_conic(points) is None


@given(FORMS, ANGLES, st.floats(0, 0.9), ANGLES)
def test_what_can_be_reached_from_inside_lies_on_the_edge(true, towards, out, where):
    origin = true.center + true.root @ (out * np.array([np.cos(where), np.sin(where)]))
    direction = np.array([[3 * np.cos(towards)], [3 * np.sin(towards)]])
    end = origin[:, None] + true.reach(direction, origin) * direction
    assert np.linalg.norm(np.linalg.solve(true.root, end - true.center[:, None])) == pytest.approx(1, abs=1e-9)
    assert true.reach(direction, origin) > 0


@given(FORMS)
def test_its_own_points_are_one_stride_away_from_the_center(true):
    strides = true.root @ circle(60)
    assert true.reach(strides, true.center) == pytest.approx(np.ones(60))
    assert true.points(60) == pytest.approx(true.center[:, None] + strides)


@given(FORMS, FORMS)
def test_an_ellipse_in_the_frame_of_another_lies_where_its_points_lie(inner, frame):
    outside = inner.inside(frame)
    moved = frame.center[:, None] + frame.root @ inner.points(RAYS)
    off = moved - outside.center[:, None]
    assert outside.reach(off, outside.center) == pytest.approx(np.ones(RAYS))
    assert outside.size() == pytest.approx(inner.size() * frame.size())
    assert outside.root == pytest.approx(outside.root.T)
    assert np.linalg.eigvalsh(outside.root).min() > 0


def test_the_unit_circle_in_a_frame_is_the_frame():
    frame = ellipse(30, 20, 0.7, away=0.5)
    assert edge_distance(Ellipse(np.zeros(2), np.eye(2)).inside(frame), frame) < 1e-12


def test_the_size_is_the_radius_of_the_circle_of_equal_area():
    assert ellipse(8, 2, 1.1).size() == pytest.approx(4)
    assert ellipse(3, 3, 0).size() == pytest.approx(3)


def test_a_circle_goes_from_right_to_down_in_even_steps():
    assert circle(4) == pytest.approx(np.array([[1, 0, -1, 0], [0, 1, 0, -1]]))
    assert np.linalg.norm(circle(7), axis=0) == pytest.approx(np.ones(7))
