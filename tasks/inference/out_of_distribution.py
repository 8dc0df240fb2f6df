"""Novelty: how far an image is from those that a model knows, and from where on it is unlike them."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

FOLDS = 5  # each casting is held against four fifths of the others
DIRECTIONS = 64  # kept of features that vary together; what lies across them counts by its size alone
DIGITS = 4  # kept of each number, so that the file stays small


class FeatureGaussian(BaseModel):
    """Where the known images lie in some quantities, as a cloud; distances are in its own standard deviations."""

    model_config = ConfigDict(frozen=True)
    usual: tuple[float, ...]
    """Mean of each quantity."""
    spread: tuple[float, ...]
    """Standard deviation of each quantity; 1 where it never varied."""
    directions: tuple[tuple[float, ...], ...]
    """Unit vectors of standardised quantities, in which the cloud is widest."""
    widths: tuple[float, ...]
    """Standard deviation along each direction."""
    width_across: float
    """Standard deviation across all these directions, of each dimension that is left."""
    limit: float
    """Distance from which on an image is unlike the known ones."""


def fit_limits(images: Sequence[np.ndarray], groups: Sequence[str], share: float) -> FeatureGaussian | None:
    """The cloud of images, float (quantities,) each, and its limit; None where fewer than two groups are known.

    Images of a casting are alike, and a cloud lies closer to the points that made it than to others. So each casting is held
    against clouds of others: `share` of the images may lie beyond the limit then.
    """
    folds = folds_of(groups)
    if folds.max(initial=0) < 1:
        return None
    points, held = np.array(images), np.empty(len(images))
    for fold in range(folds.max() + 1):
        held[folds == fold] = distances(fit_gaussian(points[folds != fold]), points[folds == fold])
    limit = float(np.quantile(held, 1 - share, method="higher"))
    return fit_gaussian(points).model_copy(update={"limit": round_numbers(limit)})


def folds_of(groups: Sequence[str]) -> np.ndarray:
    """A number below 5 for each image, equal in a group; the names of groups are digests, so their order says nothing."""
    numbers = {group: number % FOLDS for number, group in enumerate(sorted(set(groups)))}
    return np.array([numbers[group] for group in groups], int)


def fit_gaussian(points: np.ndarray) -> FeatureGaussian:
    """Mean and covariance of the points, without a limit.

    The correlations shrink towards none by as much as there are few images to a quantity, and so are never singular.
    """
    images, quantities = points.shape
    usual, spread = points.mean(axis=0), points.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    standardised = (points - usual) / spread
    shrinkage = min(1.0, quantities / images)
    variances, directions = np.linalg.eigh(standardised.T @ standardised / images)
    variances = (1 - shrinkage) * np.maximum(variances[::-1], 0) + shrinkage
    kept = min(DIRECTIONS, quantities)
    left = variances[kept:]
    return FeatureGaussian(
        usual=tuple(map(round_numbers, usual)),
        spread=tuple(map(round_numbers, spread)),
        directions=tuple(tuple(map(round_numbers, direction)) for direction in directions[:, ::-1].T[:kept]),
        widths=tuple(map(round_numbers, np.sqrt(variances[:kept]))),
        width_across=round_numbers(np.sqrt(left.mean())) if len(left) else 1.0,
        limit=float("inf"),
    )


def distances(known: FeatureGaussian, points: np.ndarray) -> np.ndarray:
    """How far each point lies from the middle of the cloud (Mahalanobis), float64 (points,)."""
    standardised = (points - np.array(known.usual)) / np.array(known.spread)
    # No BLAS: its threads go on spinning for a while, and take the processors from the network that looks at the next images.
    along = np.einsum("ij,kj->ik", standardised, np.array(known.directions))
    across = np.maximum((standardised**2).sum(axis=1) - (along**2).sum(axis=1), 0)
    if len(known.directions) == len(known.usual):
        across = np.zeros(len(points))  # nothing is left; rounding would be
    return np.sqrt(((along / np.array(known.widths)) ** 2).sum(axis=1) + across / known.width_across**2)


def round_numbers(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
