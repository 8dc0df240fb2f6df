"""Run: the model of `run.json`, which says what one run found. `reporting/run_json` fills and writes it, other rooms read it.

A section that a file of an older run lacks is None, and so is a number that a run did not compute.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.records.results import (
    BaselineComparison,
    Calibration,
    Decided,
    DrawnBlemishes,
    Guarantee,
    Normality,
    Origin,
    PartErrors,
    Probe,
    Release,
    Score,
    Workload,
)
from tasks.settings.crops import Crop
from tasks.settings.model_specs import InputSize

SCHEMA_VERSION = 1  # grows when a key changes its meaning or goes; a new key alone does not count


class RunSection(BaseModel):
    """A part of `run.json`; keys of later versions are passed over."""

    model_config = ConfigDict(frozen=True, from_attributes=True, use_attribute_docstrings=True, protected_namespaces=())


class CodeState(RunSection):
    """The checkout that ran."""

    commit: str | None
    """Commit with which the run began; None where there is no checkout."""
    changed: bool | None
    """Whether files differed from that commit."""


class StepTime(RunSection):
    """How a step went."""

    cached: bool
    """Whether an earlier result was used."""
    seconds: float
    key: str | None = None
    """Name of the remembered result under `data/cache`."""


class OriginFacts(Origin):
    """What one origin brought."""

    unsettled: int
    """Files that were still being written, and wait for the next run."""


class DatasetFacts(RunSection):
    """The images of the run, and what the audit found about them. None: not known, or a run before the key came."""

    source: str | None = None
    source_identity: str | None = None
    digest: str | None = None
    """sha256 of the table of accepted images."""
    splits_digest: str | None = None
    """sha256 of the table with group and split of each image."""
    images: int | None = None
    """Accepted files, copies included."""
    left_alone: int | None = None
    """Images outside the class folders."""
    layout: str | None = None
    """How the photographs of the source are labeled, in one line."""
    by_split: dict[str, int] | None = None
    by_class: dict[str, int] | None = None
    by_kind: dict[str, int] | None = None
    """Images by class folder, or by label in a table."""
    by_origin: dict[str, int] | None = None
    quarantined: int | None = None
    """Refused files."""
    exact_copies_across_splits: int | None = None
    """Pairs between train and test as published, byte by byte."""
    near_copies_across_splits: int | None = None
    """Train images that are a changed copy of a published test image, and equal to none."""
    copies_of_two_labels: int | None = None
    held_back_from_training: int | None = None
    """Images held back: copies of the published test or validation, and arrivals that copy an earlier origin."""
    different_images: int | None = None
    rings: int | None = None
    """Different images that show a ring."""
    parts_by: str | None = None
    """How parts are known: `names`, `rings` or `detail`; empty where they are not known."""
    castings: int | None = None
    castings_of_two_labels: int | None = None
    castings_by_split: dict[str, int] | None = None
    test_images_of_trained_castings: int | None = None
    """Test images of a casting that trains or validates."""
    published_test_images_of_trained_castings: int | None = None
    copy_baseline_accuracy: float | None = None
    """Share of test images whose most similar training thumbnail has their label."""
    brightness_auc: float | None = None
    shortcuts: dict[str, Probe] | None = None
    """What brightness, border brightness and sharpness alone get right on the test."""
    origins: list[OriginFacts] | None = None
    corrections_unused: int | None = None


class ModelFacts(RunSection):
    """The trained network."""

    name: str | None = None
    chosen_because: str = ""
    parameters: int | None = None
    sha256: str | None = None
    """Of the file of the network."""
    weights_sha256: str | None = None
    image_size: InputSize | None = None
    """Side of the square that the network sees, or height and width, in pixels."""
    crop: Crop | None = None
    """Where in a picture the network looks: `part`, or a box in shares of width and height; None: everywhere."""
    folder: str | None = None
    """Digest of the model's folder under `artifacts/models`."""


class TrainingFacts(RunSection):
    """How the network was trained."""

    epochs: int
    kept_epoch: int
    images: int
    left_out: int
    """Training images that show nothing by the network's view."""
    wall_seconds: float
    cpu_seconds: float
    """Decoding, validation passes and child processes included, imports not."""
    images_per_second: float
    device: str
    trained_with: str
    resumed_from_epoch: int | None
    started_from: str | None
    """Digest of the model's folder whose weights were the first."""


class ScoreFacts(Score):
    """How a set of images was judged. Counts are at the most likely class unless their name says `decided`."""

    model_config = ConfigDict(from_attributes=True)
    decided: Decided | None = None  # type: ignore[assignment]  # a file of an older run has none


class EvaluationFacts(RunSection):
    """What validation and test say."""

    test: ScoreFacts
    validation: ScoreFacts
    slices: dict[str, ScoreFacts]
    """The test by origin."""
    threshold: float
    temperature: float
    review_band: tuple[float, float] | None
    review_reasons: dict[str, int]
    """Test images that go to a person, by cause in words, the most common first."""
    review_causes: dict[str, int] = {}
    """The same by the code of the cause, which stays when words change; empty: a run before there were codes."""
    guarantee: Guarantee | None = None
    """What is promised about defective parts that pass; None where nothing is."""
    baselines: BaselineComparison | None = None
    """How the model compares with simple rules on parts that do not train; None: a run before the comparison came."""
    calibration: Calibration | None = None
    """What the temperature rests on; None: a run before that was recorded, or a network that learned from good parts alone."""
    workloads: list[Workload] = []
    """How the test would be decided if people could look at no more than a share of the images; empty: none was computed."""
    normal: Normality | None = None
    """Where the limits of a network come from that learned from good parts alone; None of another one."""
    blemishes: DrawnBlemishes | None = None
    """What such a network says of drawn blemishes; None of another one."""


class CrossfitFacts(ScoreFacts):
    """How all labeled images were judged by networks that never saw their parts, in all and otherwise."""

    by_fold: list[ScoreFacts]
    slices: dict[str, ScoreFacts]
    """By origin."""
    worst: list[PartErrors]
    """Parts with images at the wrong most likely class, those with the most first."""
    suspected_images: int
    """Images whose label is probably wrong; equal files count once."""
    suspected_parts: int
    temperature: float
    """At which the labels of all images are likeliest; it is that of the released model."""
    cpu_seconds: float
    """Of all trainings."""
    wall_seconds: float
    """Of all trainings, one after another, wherever they ran."""


class ErrorRate(RunSection):
    """How many of the parts with one decision are wrong, by what people found in spot checks."""

    decided: int
    """Parts with this decision."""
    checked: int
    """So many of them were drawn, and a person called them good or defective."""
    wrong: int
    """So many of these were decided wrongly: a defective part passed, or a good one rejected."""
    waiting: int
    """Drawn parts that nobody has answered about."""
    rate: float | None = None
    """Estimated share of wrong ones among all decided; None where too little is checked."""
    bound: float | None = None
    """With the confidence asked for, the share is no larger."""
    more: int | None = None
    """Parts more, none of them wrong, that would show the accepted limit; None where there is none, or no number can."""


class ProductionFacts(RunSection):
    """What spot checks show of the decisions of one version at the stations."""

    version: int | None
    """None: of all versions."""
    passed: ErrorRate
    rejected: ErrorRate


class ReleaseFacts(Release):
    """What became of the model."""

    cached: bool = Field(False, exclude=True)


class RunJson(RunSection):
    """What one run found."""

    schema_version: int = 0
    """0: a run before there was a number."""
    run_id: str = ""
    started: str = ""
    """UTC, as ISO 8601."""
    wall_seconds: float | None = None
    versions: dict[str, str | None] = {}
    code: CodeState | None = None
    config: dict[str, Any] | None = None
    """The settings, as their class wrote them then."""
    steps: dict[str, StepTime] = {}
    dataset: DatasetFacts | None = None
    model: ModelFacts | None = None
    training: TrainingFacts | None = None
    evaluation: EvaluationFacts | None = None
    crossfit: CrossfitFacts | None = None
    """None where no folds were asked for."""
    production: list[ProductionFacts] = []
    """What spot checks had shown of each version when the run ended."""
    release: ReleaseFacts | None = None
