"""Heat maps: show where in a photograph a network sees a defect."""

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tasks.images.detail import Box, content_box
from tasks.images.views import RING_SHAPE

if TYPE_CHECKING:
    import keras

    from tasks.images.rings import Ring

BATCH = 32  # images; the maps of a large network take much memory
FAINT, STRONG = 1.0, 12.0  # logits: values below the first are not painted, all above the second are painted alike
PALE, VIVID = np.array([255, 205, 60]), np.array([214, 20, 24])  # colors of the two
QUIET = 0.1  # of the greatest logit: lower values do not join two spots into one
COVER = 0.6  # of the photograph at most, so that it can be seen under the heat


def maps(network: "keras.Model", levels: np.ndarray) -> np.ndarray:
    """Return how strongly each place of the view speaks for a defect: float32 (images, rows, columns), a logit.

    `levels` uint8 (images, height, width, planes), as in `InputBatch`. Uses the network's own map where it has one, else
    `contributions`.
    """
    chunks = [levels[start : start + BATCH] for start in range(0, len(levels), BATCH)]
    if "map" in network.output:
        return np.concatenate([np.asarray(network.predict_on_batch(chunk)["map"], np.float32) for chunk in chunks])
    return np.concatenate([contributions(network, chunk) for chunk in chunks])


def crop_to_picture(local: np.ndarray, shape: tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    """Return the part of a map (rows, columns) of a frame that lies over the crop of `shape`, (height, width) pixels each.

    The view `detail` lays what it sees of a photograph into the middle of its frame. The result covers all of that, as `peak` expects.
    """
    box = content_box(shape, frame)
    down, across = (side / places for side, places in zip(frame, local.shape, strict=True))
    corners = (box.left / across, box.top / down, (box.left + box.width) / across, (box.top + box.height) / down)
    size = max(1, round(box.width / across)), max(1, round(box.height / down))
    return np.asarray(Image.fromarray(local).resize(size, Image.Resampling.BILINEAR, corners))


def contributions(network: "keras.Model", levels: np.ndarray) -> np.ndarray:
    """Return for each place the margin of an image that is everywhere as it is there: float32 (images, rows, columns).

    Multiplies the activations of the last spatial layer by the margin's gradient at the place itself (HiResCAM, Draelos and
    Carin, 2020). The sum of the products is the margin, up to constants, where rectified layers follow. Grad-CAM takes the
    gradient's mean over all places instead, which is the same before a global mean and says nothing before a Flatten.
    """
    import keras
    import tensorflow as tf  # late: a network's own map needs neither

    last = [layer for layer in network.layers if len(getattr(layer.output, "shape", ())) == 4][-1]
    inner = keras.Model(network.inputs, [last.output, network.output["logits"]])
    images = tf.constant(levels, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        activations, logits = inner(images, training=False)
        margins = logits[:, 1] - logits[:, 0]
    products = tf.reduce_sum(tape.gradient(margins, activations) * activations, axis=-1).numpy()
    return (products * products[0].size).astype(np.float32)


def peak(
    local: np.ndarray, ring: "Ring | None", shape: tuple[int, int], seen: Box | None = None
) -> tuple[float, float]:
    """Return x and y, in the photograph of `shape` (height, width) pixels, of the defect that the map speaks for most.

    The map `local` (rows, columns) is of the unwrapped `ring`; where `ring` is None, it is of the box that is `seen`, None: of all.
    """
    top, left, height, width = seen or Box(0, 0, *shape)
    row, column = middle(local, turning=ring is not None)
    down, across = (row + 0.5) / local.shape[0], (column + 0.5) / local.shape[1]
    if ring is None:
        return float(left + across * width - 0.5), float(top + down * height - 0.5)
    from tasks.images import rings  # late: it needs SciPy, and the whole picture does not

    rows, columns = (np.array([share * side - 0.5]) for share, side in zip((down, across), RING_SHAPE, strict=False))
    x, y = rings.from_strip(ring, rows, columns)[:, 0, 0]
    return float(x), float(y)


def middle(local: np.ndarray, *, turning: bool) -> tuple[float, float]:
    """Return row and column of the middle of the spot that holds the greatest place of a map.

    All places whose filters meet a defect speak for it, and chance decides which of them is the greatest. In a network whose
    filters met 70 columns, the greatest place missed 77 % of the sample's defects, and the middle of the spot missed 18 %.
    `turning` says that the last column lies beside the first.
    """
    from scipy import ndimage

    row, column = (int(place) for place in np.unravel_index(local.argmax(), local.shape))
    turn = local.shape[1] // 2 - column if turning else 0
    turned = np.roll(local, turn, axis=1)
    spots, _ = ndimage.label(turned > max(0, QUIET * local.max()), structure=np.ones((3, 3)))
    if not (spot := spots[row, column + turn]):
        return row, column  # nothing speaks for a defect
    down, across = ndimage.center_of_mass(turned, spots, spot)
    return down, across - turn


def heat_over_photograph(
    local: np.ndarray, ring: "Ring | None", shape: tuple[int, int], size: int, seen: Box | None = None
) -> np.ndarray:
    """Lay the map over its photograph of `shape` (height, width) pixels, drawn as a square.

    Returns float32 (size, size), -inf where the map says nothing. The map `local` and `seen` are as in `peak`.
    """
    if ring is None:
        return spread_over_box(local, seen or Box(0, 0, *shape), shape, size)
    from tasks.images import rings

    across, down = ((np.arange(size) + 0.5) * (side / size) - 0.5 for side in (shape[1], shape[0]))
    points = np.stack(np.meshgrid(across, down)).reshape(2, -1)
    strip = rings.to_strip(ring, points)
    heights, widths = (side / number for side, number in zip(RING_SHAPE, local.shape, strict=False))
    row, column = (strip[0] + 0.5) / heights - 0.5, (strip[1] + 0.5) / widths - 0.5
    continued = np.concatenate([local[:, -1:], local, local[:, :1]], axis=1)  # the turn has no end
    heat = rings.sample(continued, np.stack([column + 1, row]))
    within = (strip[0] > -0.5) & (strip[0] < RING_SHAPE[0] - 0.5)
    return np.where(within, heat, -np.inf).astype(np.float32).reshape(size, size)


def spread_over_box(local: np.ndarray, seen: Box, shape: tuple[int, int], size: int) -> np.ndarray:
    """Spread a map over the box that is seen of a photograph, float32 (size, size), -inf beside it; the rest is as in `peak`."""
    top, bottom = (round(row * size / shape[0]) for row in (seen.top, seen.top + seen.height))
    left, right = (round(column * size / shape[1]) for column in (seen.left, seen.left + seen.width))
    bottom, right = max(bottom, top + 1), max(right, left + 1)
    heat = np.full((size, size), -np.inf, np.float32)
    spread = Image.fromarray(local).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    heat[top:bottom, left:right] = np.asarray(spread)[: size - top, : size - left]
    return heat


def paint(gray: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Paint the heat (size, size) over a photograph uint8 (size, size): uint8 (size, size, 3), gray where the heat is below 1.

    The scale is the same for all photographs, so that two can be compared.
    """
    strength = np.clip((heat - FAINT) / (STRONG - FAINT), 0, 1)[..., None]
    color = PALE + (VIVID - PALE) * strength
    cover = COVER * np.sqrt(strength)
    return (gray[..., None] * (1 - cover) + color * cover + 0.5).astype(np.uint8)
