"""Settings: every number that a run may change, one class a step, so that a change repeats only what it affects."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ModelName = Literal["compact", "ring", "tutorial", "tutorial_dropout"]
Protocol = Literal["cleaned", "published", "grouped"]


class Settings(BaseModel):
    """Frozen; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Classes(Settings):
    """The two class folders. The defect is the positive class."""

    defect: str = Field("def_front", min_length=1, pattern=r"^[^/\\]+$")
    """Folder of defective parts."""
    good: str = Field("ok_front", min_length=1, pattern=r"^[^/\\]+$")
    """Folder of good parts."""

    @model_validator(mode="after")
    def two_names(self) -> Self:
        if self.defect == self.good:
            raise ValueError(
                f"both classes are called {self.good!r}: name the two class folders with --defect and --good"
            )
        return self


class Sample(Settings):
    """The built-in sample: how many drawn castings, and which faults are planted in it."""

    parts: int = Field(120, ge=8, le=2_000)
    """Physical castings drawn; about half of them are defective."""
    train_images: int = Field(1_000, ge=16, le=100_000)
    """Photographs in train/."""
    test_images: int = Field(300, ge=8, le=100_000)
    """Photographs in test/."""
    seed: int = Field(0, ge=0)
    """Draws other castings and photographs."""
    shared_parts: float = Field(0.0, ge=0, le=1)
    """Fault: share of the test castings that are photographed for train/ too."""
    exact_copies: int = Field(0, ge=0)
    """Fault: train files that repeat a test file byte by byte."""
    transformed_copies: int = Field(0, ge=0)
    """Fault: train files that are flipped, turned, re-lit, shifted or recompressed copies of a test photograph."""
    corrupt_files: int = Field(0, ge=0)
    """Fault: damaged files in train/, each kind of damage in turn."""
    new_camera_images: int = Field(0, ge=0)
    """Fault: photographs in train/ from a camera set-up that the others lack (bright background)."""


class Fetch(Settings):
    """Where the images come from."""

    source: str = Field("sample", min_length=1)
    """`sample`, a zip file, a folder, or `kaggle:OWNER/SLUG[/VERSION]`."""
    arrivals: tuple[Path, ...] | None = None
    """Folders of new labelled images, class folders inside; unset: `<data>/inbox`, if it holds any."""
    settle_seconds: float = Field(2.0, ge=0, le=3_600)
    """A new file that changes within so many seconds is still being written: it is left for the next run."""
    classes: Classes = Classes()
    sample: Sample = Sample()


class Validation(Settings):
    """Which files count as images of castings."""

    max_megapixels: float = Field(40.0, gt=0, le=1_000)
    """Larger images are refused before they are decoded, in megapixels."""
    max_bad_fraction: float = Field(0.05, ge=0, le=1)
    """More refused files than this share of an origin end the run."""
    min_side: int = Field(32, ge=1, le=10_000)
    """Least width and height of a picture, in pixels."""
    min_deviation: float = Field(2.0, ge=0, le=100)
    """Least standard deviation of a picture seen at a quarter of its size, in grey levels of 255: less is a blank image."""


class Auditing(Settings):
    """How copies and castings are recognised. Copies byte by byte need no setting."""

    copy_limit: float = Field(0.955, gt=0.5, lt=1)
    """Two images are of one photograph from this correlation of their detail on."""
    casting_limit: float = Field(0.52, gt=0.2, lt=1)
    """Two photographs are of one casting from this correlation of the marks on their rings on."""
    max_ring_residual: float = Field(0.0075, gt=0, lt=0.1)
    """A rim whose edge lies further from an ellipse than this share of its radius is no ring."""
    min_ring_share: float = Field(0.9, gt=0, le=1)
    """Castings are counted where at least this share of the images shows a ring; images without one are grouped by copies alone."""


class Splitting(Settings):
    """Which images train, validate and test."""

    protocol: Protocol = "cleaned"
    """`cleaned`: the published test whole, its copies held back from train; `published`: as it came;
    `grouped`: published split ignored, whole groups held out."""
    validation_fraction: float = Field(0.15, gt=0, lt=0.5)
    """Share of the training groups that validate."""
    test_fraction: float = Field(0.15, gt=0, lt=0.5)
    """Share of the groups that test, where no published test decides."""
    seed: int = Field(0, ge=0)
    """Draws other validation and test groups."""


class Recipe(Settings):
    """What decides the trained weights, besides the images."""

    model: ModelName
    epochs: int | None
    """None: as many as so many images need, `fitting.passes`."""
    image_size: int
    batch_size: int
    learning_rate: float
    seed: int

    @property
    def view(self) -> Literal["raw", "ring"]:
        """What the network sees of an image, as in `tasks.images.views`."""
        return "ring" if self.model == "ring" else "raw"


RECIPES: dict[ModelName, dict[str, int | float | None]] = {
    "compact": {"epochs": None, "image_size": 75, "batch_size": 32, "learning_rate": 2e-3},
    "ring": {"epochs": None, "image_size": 512, "batch_size": 32, "learning_rate": 2e-3},
    "tutorial": {"epochs": 4, "image_size": 300, "batch_size": 32, "learning_rate": 1e-3},
    "tutorial_dropout": {"epochs": 4, "image_size": 300, "batch_size": 32, "learning_rate": 1e-3},
}


class Training(Settings):
    """Which network, and how long it learns. What is unset comes from the model's recipe."""

    model: ModelName = "compact"
    """`compact`: small and quick; `tutorial`, `tutorial_dropout`: the published networks, for comparison."""
    epochs: int | None = Field(None, ge=1, le=1_000)
    """Passes over the training images; unset: 4 of a tutorial model, of compact 10 or more where images are few."""
    image_size: int | None = Field(None, ge=32, le=1_024)
    """Side of the square that the network sees, in pixels."""
    batch_size: int | None = Field(None, ge=1, le=4_096)
    """Images a step."""
    learning_rate: float | None = Field(None, gt=0, le=1)
    """Highest learning rate of the schedule."""
    seed: int = Field(0, ge=0)
    """Start weights, order and augmentation."""
    require_gpu: bool = False
    """Stop at once when TensorFlow sees no GPU."""

    @model_validator(mode="after")
    def tutorial_size(self) -> Self:
        if self.model.startswith("tutorial") and self.image_size not in (None, 300):
            raise ValueError(
                f"image_size is {self.image_size}, but the {self.model} model has 300 x 300 inputs: "
                "leave image_size out, or take --model compact"
            )
        return self

    def recipe(self) -> Recipe:
        """What decides the trained weights: these settings with the model's own numbers where unset."""
        chosen = self.model_dump(exclude={"require_gpu"}, exclude_none=True)
        return Recipe.model_validate({**RECIPES[self.model], **chosen})


class Evaluation(Settings):
    """How figures are reported."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of the intervals."""


class Acceptance(Settings):
    """What a model must show on the test images before it is promoted."""

    max_escape_rate: float = Field(0.05, ge=0, le=1)
    """Most defective parts that may pass, as a share of the defective."""
    max_false_reject_rate: float = Field(0.10, ge=0, le=1)
    """Most good parts that may be refused, as a share of the good."""


class Places(Settings):
    """The two folders; relative ones start at the current folder."""

    data: Path = Path("data")
    """The inbox, and what can be deleted because it is made again."""
    artifacts: Path = Path("artifacts")
    """What is kept: runs, models, the registry."""


class Config(Settings):
    """One retraining run."""

    fetch: Fetch = Fetch()
    validation: Validation = Validation()
    audit: Auditing = Auditing()
    splitting: Splitting = Splitting()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    acceptance: Acceptance = Acceptance()
    places: Places = Places()
