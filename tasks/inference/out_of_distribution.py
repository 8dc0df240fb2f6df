"""Out of distribution: measure how far an image is from the training images, and from which distance on it is unlike them."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

FOLDS = 5  # each casting is held against four fifths of the others
DIRECTIONS = 64  # kept of features that vary together; deviations across them count by their size alone
KNOWN_PARTS = 3  # parts for each quantity that an origin needs before its correlations are used
DIGITS = 4  # kept of each number, so that the file stays small


class FeatureGaussian(BaseModel):
    """A Gaussian cloud of known images in some quantities; distances are in its own standard deviations."""

    model_config = ConfigDict(frozen=True)
    usual: tuple[float, ...]
    """Mean of each quantity."""
    spread: tuple[float, ...]
    """Standard deviation of each quantity; 1 where it never varied."""
    directions: tuple[tuple[float, ...], ...]
    """Unit vectors of standardized quantities, in which the cloud is widest."""
    widths: tuple[float, ...]
    """Standard deviation along each direction."""
    width_across: float
    """Standard deviation across all these directions, of each dimension that is left."""
    limit: float
    """Distance from which on an image is unlike the known ones."""


def fit_origins(
    images: Sequence[np.ndarray], groups: Sequence[str], origins: Sequence[str], share: float
) -> tuple[FeatureGaussian, ...]:
    """Fit a cloud with a limit to the images of each origin that has two groups.

    One cloud around two cameras holds what lies between them, and its limit follows the camera with the most images. Few
    parts, each photographed often, suggest correlations that the next part does not share: so an origin has correlations only from
    `KNOWN_PARTS` parts for each quantity on.
    """
    clouds = []
    for origin in sorted(set(origins)):
        own = [number for number, name in enumerate(origins) if name == origin]
        points, parts = [images[number] for number in own], [groups[number] for number in own]
        clouds.append(fit_limits(points, parts, share, len(set(parts)) >= KNOWN_PARTS * len(points[0])))
    return tuple(cloud for cloud in clouds if cloud)


def fit_limits(
    images: Sequence[np.ndarray], groups: Sequence[str], share: float, correlated: bool = True
) -> FeatureGaussian | None:
    """Fit a cloud to images, float (quantities,) each, and set its limit; None where there are fewer than two groups.

    Images of a casting are alike, and a cloud lies closer to its own points than to others. So each casting is compared with a
    cloud of other castings, and the limit is set so that a `share` of these distances lies beyond it. `correlated` is as in
    `fit_gaussian`.
    """
    folds = folds_of(groups)
    if folds.max(initial=0) < 1:
        return None
    points, lengths = np.array(images), np.empty(len(images))
    for fold in range(folds.max() + 1):
        lengths[folds == fold] = distances(fit_gaussian(points[folds != fold], correlated), points[folds == fold])
    limit = float(np.quantile(lengths, 1 - share, method="higher"))
    return fit_gaussian(points, correlated).model_copy(update={"limit": round_numbers(limit)})


def folds_of(groups: Sequence[str]) -> np.ndarray:
    """Return a number below 5 for each image, equal within a group. Group names are digests, so their order is arbitrary."""
    numbers = {group: number % FOLDS for number, group in enumerate(sorted(set(groups)))}
    return np.array([numbers[group] for group in groups], int)


def fit_gaussian(points: np.ndarray, correlated: bool = True) -> FeatureGaussian:
    """Fit mean and covariance to points (images, quantities), with an infinite limit.

    The fewer images there are per quantity, the more the correlations shrink towards zero, so they are never singular.
    They are zero where the quantities are not taken as `correlated`.
    """
    images, quantities = points.shape
    usual, spread = points.mean(axis=0), points.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    standardized = (points - usual) / spread
    shrinkage = min(1.0, quantities / images) if correlated else 1.0
    variances, directions = np.linalg.eigh(standardized.T @ standardized / images)
    variances = (1 - shrinkage) * np.maximum(variances[::-1], 0) + shrinkage
    count = min(DIRECTIONS, quantities)
    rest = variances[count:]
    return FeatureGaussian(
        usual=tuple(map(round_numbers, usual)),
        spread=tuple(map(round_numbers, spread)),
        directions=tuple(tuple(map(round_numbers, direction)) for direction in directions[:, ::-1].T[:count]),
        widths=tuple(map(round_numbers, np.sqrt(variances[:count]))),
        width_across=round_numbers(np.sqrt(rest.mean())) if len(rest) else 1.0,
        limit=float("inf"),
    )


def distances(gaussian: FeatureGaussian, points: np.ndarray) -> np.ndarray:
    """Return the Mahalanobis distance of each point from the middle of the cloud, float64 (points,)."""
    standardized = (points - np.array(gaussian.usual)) / np.array(gaussian.spread)
    # No BLAS: its threads keep spinning for a while, and take processors from the network that sees the next images.
    along = np.einsum("ij,kj->ik", standardized, np.array(gaussian.directions))
    across = np.maximum((standardized**2).sum(axis=1) - (along**2).sum(axis=1), 0)
    if len(gaussian.directions) == len(gaussian.usual):
        across = np.zeros(len(points))  # no dimension is left across; only rounding would remain
    return np.sqrt(((along / np.array(gaussian.widths)) ** 2).sum(axis=1) + across / gaussian.width_across**2)


def round_numbers(number: float) -> float:
    """Round a number to four significant digits."""
    return float(f"{number:.{DIGITS}g}")
