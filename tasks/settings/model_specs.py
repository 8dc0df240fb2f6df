"""Model specs: one row for each network that recast can train. A new network needs its file in `tasks/networks` and its row here."""

from typing import Literal, NamedTuple

ModelName = Literal["compact", "ring", "patch", "normal", "backbone", "tutorial", "tutorial_dropout"]
ViewName = Literal["raw", "detail", "ring"]
InputSize = int | tuple[int, int]
"""Side of a square, or height and width, in pixels."""


class ModelSpec(NamedTuple):
    """What is fixed about a network, whatever the settings say."""

    view: ViewName
    """What it sees of an image: a key of `tasks.images.views.VIEWS`."""
    image_size: int
    """Side of the square that it sees, or width of the unwrapped ring, in pixels, where no other size is asked for or chosen."""
    learning_rate: float
    """Highest rate of its schedule, for 32 images a step."""
    fixed_size: bool = False
    """Whether it takes no other image size."""
    epochs: int | None = None
    """Passes over the training images; None: as many as the two numbers below say."""
    min_epochs: int = 0
    min_images: int = 0
    """Images that a training sees at least, all epochs together, so that few images are seen more often."""
    balanced: bool = False
    """Whether an epoch shows as many defective as good images."""
    reference: bool = False
    """Whether it is trained exactly as published, for comparison: plain Adam, no augmentation, the last epoch."""
    good_alone: bool = False
    """Whether it learns from good parts alone: drawn blemishes take the place of defects, and held-out good parts set its limits."""
    pretrained: bool = False
    """Whether a training from new weights begins with weights that Keras downloads."""


MODEL_SPECS: dict[ModelName, ModelSpec] = {
    "compact": ModelSpec("raw", 75, 4e-3, min_epochs=4, min_images=22_500),
    "ring": ModelSpec("ring", 512, 2e-3, fixed_size=True, min_epochs=3, min_images=11_000),
    "patch": ModelSpec("detail", 256, 2.8e-3, min_epochs=4, min_images=12_000, balanced=True),
    "normal": ModelSpec("detail", 256, 2.8e-3, min_epochs=4, min_images=9_000, balanced=True, good_alone=True),
    "backbone": ModelSpec("raw", 224, 2e-4, min_epochs=3, min_images=6_000, pretrained=True),
    "tutorial": ModelSpec("raw", 300, 1e-3, fixed_size=True, epochs=4, reference=True),
    "tutorial_dropout": ModelSpec("raw", 300, 1e-3, fixed_size=True, epochs=4, reference=True),
}
AUTO: dict[bool, ModelName] = {
    True: "ring",
    False: "patch",
}  # what `auto` trains: where parts show a ring, and where not
