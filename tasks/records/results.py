"""Records: the results that a step hands on. They hold names, digests and counts, never pixels, tensors or a live model."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from tasks.records import rows
from tasks.records.rows import CAUSES, Cause
from tasks.settings.crops import Crop
from tasks.settings.frames import PictureSizes
from tasks.settings.model_specs import MODEL_SPECS, InputSize, ModelName, ModelSpec, ViewName
from tasks.settings.settings import DEFECT, GOOD, Classes, Places, Recipe, SampleSettings, TilesSettings
from tasks.storage.digest_cache import file_digests
from tasks.storage.files import File
from tasks.storage.tables import read_table

Verdict = Literal["promoted", "kept", "waiting"]
SEVERAL_DEFECTS = "defect"  # name of the defect class where it has several folders
MAX_DIFFERENCE = 1e-3  # of a probability, between two formats of one network; rounding causes 1e-6


class Record(BaseModel):
    """A result, frozen and stored as JSON, that can check whether the files that it names are unchanged."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())
    report_only: ClassVar[frozenset[str]] = frozenset()
    """Fields that only people read: they decide nothing in a later step, and are in no cache key."""

    def files(self) -> Iterator[File]:
        """Yield every file that a field names, directly, in a tuple or in another record."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, File):
                    yield item
                elif isinstance(item, Record):
                    yield from item.files()

    def damage(self, places: Places) -> str | None:
        """Say what is wrong with the first damaged file of this record; None where all are whole."""
        return next((fault for file in self.files() if (fault := file.damage(places))), None)


class ClassFolders(Record):
    """The folders of the two classes, as the source has them. A table of labels has labels in their place."""

    defect: tuple[str, ...] = (DEFECT,)
    good: str = GOOD

    @property
    def classes(self) -> Classes:
        """Return the names of the two classes: the defect bears the name of its folder, or `defect` where it has several."""
        return Classes(defect=self.defect[0] if len(self.defect) == 1 else SEVERAL_DEFECTS, good=self.good)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all folders whose files have a label. A folder with the name of the class counts, too."""
        return tuple(dict.fromkeys((*self.defect, self.classes.defect, self.good)))

    def label_of(self, folder: str) -> str:
        """Return the class of a folder; "" where it is none of these folders."""
        if folder == self.good:
            return self.good
        return self.classes.defect if folder in self.names else ""


class Source(Record):
    """The source of the images, with its identity. The name and the path are in no cache key."""

    kind: str
    """A key of `tasks.sources.locate.KINDS`."""
    identity: str
    """sha256 of a zip, digest of a folder's listing, `OWNER/SLUG/N` of Kaggle, the settings of a sample."""
    sample: TilesSettings | SampleSettings | None = Field(None, union_mode="left_to_right")
    """In this order: tiles refuse the fields that castings alone have, and so each is read as what it was written."""
    name: str = Field(exclude=True)
    path: Path | None = Field(None, exclude=True)
    names: tuple[str, ...] = Field((), exclude=True)
    """Of a folder: the names of the files that are taken."""
    folders: ClassFolders | None = Field(None, exclude=True)
    """Of the classes; None where they cannot be told before the source is fetched."""
    layout: str = Field("", exclude=True)
    """How the photographs are labeled, in one line; empty where that cannot be told before the source is fetched."""
    left_out: tuple[str, ...] = Field((), exclude=True)
    """Files that are not used, a sentence each."""
    has_defects: bool = Field(True, exclude=True)
    """Whether a photograph shows a defective part, as far as it is known."""


class Arrival(Record):
    """A folder of new labeled images outside `data/images`; its path is in no cache key."""

    origin: str
    identity: str
    """Digest of its listing: relative paths and the sha256 of each file."""
    path: Path = Field(exclude=True)
    names: tuple[str, ...] = Field((), exclude=True)
    """The files that are taken."""
    unsettled: int = Field(0, exclude=True)
    """Files that are still being written, left for the next run."""


class Corrections(Record):
    """Labels to mend and images to withdraw: the user's `data/corrections.csv`, and what people said on the review page."""

    identity: str = ""
    """sha256 of the file, or of the digests of both; empty where there is none."""
    path: Path | None = Field(None, exclude=True)
    """The user's file, which wins."""
    reviewed: Path | None = Field(None, exclude=True)
    """`artifacts/corrections.csv`, which follows from `artifacts/labels.csv`."""


class PartNames(Record):
    """What the user says about which photographs show one part: a pattern or a table; empty where neither is given."""

    pattern: str = ""
    """Regular expression on paths; its group is the name of the part."""
    identity: str = ""
    """sha256 of the table."""
    path: Path | None = Field(None, exclude=True)
    """Of the table."""


class Archive(Record):
    """The source as one zip file under `data`."""

    file: File
    bytes: int


class ImageFolder(Record):
    """The images of the source under `data/images`, named by their content, with a listing of them."""

    report_only: ClassVar[frozenset[str]] = frozenset({"layout", "left_out", "files_found", "left_alone", "junk"})
    listing: File
    folders: ClassFolders
    layout: str = ""
    """How the photographs are labeled, in one line."""
    left_out: tuple[str, ...] = ()
    """Files of the archive that are not used, a sentence each."""
    files_found: int
    left_alone: int
    """Images of the archive that are not of this data set."""
    junk: int
    """Files that an operating system left in the archive (`.DS_Store`, `Thumbs.db`)."""

    def damage(self, places: Places) -> str | None:
        """Say what is wrong with the first damaged file or image; None where all are whole."""
        return super().damage(places) or damaged_image(read_table(self.listing.path(places), rows.Entry), places)


def damaged_image(images: Sequence[rows.Entry | rows.Row], places: Places) -> str | None:
    """Say which of the stored images and their masks is the first that is missing or has changed; None where all are whole."""
    root = rows.images_root(places)
    names = [*map(rows.stored_name, images), *(image.mask for image in images if image.mask)]
    paths = [f"{root}/{name}" for name in names]
    for path, sha256 in zip(paths, file_digests(paths, places), strict=True):
        if sha256 != Path(path).stem:
            return f"{path} has changed" if sha256 else f"{path} is missing"
    return None


class Spread(Record):
    """The 5 %, 50 % and 95 % quantiles of a quantity."""

    low: float
    median: float
    high: float


class Origin(Record):
    """The files and images that one origin brought."""

    name: str
    files_found: int
    """In its class folders."""
    known: int
    """Of an arrival: files that repeat an image of an earlier origin byte by byte. They add nothing, and are no rows."""
    quarantined: int
    by_class: dict[str, int]
    """Accepted images."""
    sizes: dict[str, int]
    """Images by `WIDTH x HEIGHT`, the most common first."""
    brightness: Spread | None
    """Mean gray level, 0-255; None without an accepted image."""
    sharpness: Spread | None
    """Root mean square of the Laplacian of a quarter-size view, gray levels."""


class Manifest(Record):
    """The accepted images, a row each, and the refused ones with the reason."""

    report_only: ClassVar[frozenset[str]] = frozenset(
        {"refused", "corrected", "label_changes", "corrections_unused", "quarantined", "origins"}
    )
    table: File
    refused: File
    corrected: File
    """The corrections that applied, a row an image."""
    label_changes: File | None = None
    """Lines for `corrections.csv`, each with the later label of a content that came again with another one; None where none did."""
    classes: Classes
    images: int
    quarantined: int
    corrections_unused: int
    """Corrections of images that this run does not have."""
    origins: tuple[Origin, ...]

    def damage(self, places: Places) -> str | None:
        """Say what is wrong with the first damaged file or arrived image. `ImageFolder` checks the images of the source."""
        if fault := super().damage(places):
            return fault
        table = read_table(self.table.path(places), rows.Row)
        return damaged_image([row for row in table if row.origin != rows.BASE], places)


PartsBy = Literal["names", "rings", "detail", ""]
"""How parts are known: the user or the source names each, or the pictures tell; empty where they are not."""


class Audit(Record):
    """The copies and parts that were found. `groups` says for each content which group it belongs to."""

    pairs: File
    """`duplicates.Copy`: two images of one photograph, a row a pair, the surest first."""
    groups: File
    """`rows.Member`: the group and the ring of every content."""
    exact_copies_across_splits: int
    """Pairs between train and test as published, byte by byte."""
    near_copies_across_splits: int
    """Train images that are a changed copy of a published test image, and no equal one."""
    copies_of_two_labels: int
    """Pairs of changed copies that are called differently."""
    contents: int
    """Different images: equal files count once."""
    rings: int
    """Different images whose ring was found."""
    max_ring_residual: float = 0.0
    """Limit up to which a rim counts as a ring, as in `AuditSettings`; 0: no rim does."""
    parts_by: PartsBy = ""
    """Where it is empty, groups are copies, and the few photographs that are surely of one part."""
    castings: int | None
    """Parts that the images show; None where parts are not known."""
    castings_of_two_labels: int | None
    published_test_images_of_trained_castings: int | None
    """In the published split, also those for which the protocol holds training images back."""


class Probe(Record):
    """The test score of a rule that never looks at the casting, learned from the same training images."""

    accuracy: float
    auc: float | None


class DividedImages(Record):
    """The images of a training and of its test: the manifest with group and split of every row."""

    table: File
    classes: Classes
    images: int
    by_split: dict[str, int]
    by_class: dict[str, int]
    by_kind: dict[str, int] = {}
    """Images by class folder, or by label in a table."""
    by_origin: dict[str, int]
    held_back: int
    castings_by_split: dict[str, int] | None
    """Castings behind the images; None where castings are not known."""


class Splits(DividedImages):
    """The images of a run as they are divided, and the test scores that need no look at a casting."""

    test_images_of_trained_castings: int | None
    """Test images of a casting that trains or validates."""
    pictures: PictureSizes | None = None
    """Sizes of the training pictures; None in older runs."""
    ring_share: float = 0.0
    """Share of the training images that show a ring; 0 where no ring was searched for."""
    lookup_accuracy: float
    """Accuracy of a baseline that copies the label of the most similar training thumbnail."""
    shortcuts: dict[str, Probe]
    """Probes by brightness, border brightness and sharpness, each alone and all `together`."""


class NetworkChoice(Record):
    """The network that suits the images, as short trainings showed."""

    model: ModelName
    because: str
    scores: dict[str, float]
    """AUC of each network that was tried, a mean over folds; empty where none was."""


class Epoch(Record):
    """One pass over the training images; losses are means over images, accuracies shares."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


class Model(Record):
    """A trained network, with the figures of its training."""

    file: File
    name: str
    parameters: int
    weights_sha256: str
    view: ViewName
    image_size: InputSize
    crop: Crop | None = None
    """Where in a picture the network looks; None: everywhere."""
    summary: str
    history: tuple[Epoch, ...]
    kept_epoch: int
    images: int
    """Training images of an epoch."""
    left_out: int = 0
    """Training images in which the network's view shows nothing. They are not counted in `images`."""
    learnt: File | None = None
    """`rows.Content`: the images that the weights were learned from, in this training and in those that it continues."""
    started_from: str | None = None
    """Digest of the model's folder whose weights were the first; None: new weights."""
    wall_seconds: float
    cpu_seconds: float
    """CPU time of the process that ended the training and of its children. It includes decoding and validation passes, but not
    imports, and not the time of an interrupted process, which is not known."""
    images_per_second: float
    device: str
    trained_with: str = ""
    """Batch size, highest learning rate and precision, in words."""
    resumed_from_epoch: int | None = None
    """The last epoch that an interrupted process had finished; None: it was not interrupted."""

    @property
    def spec(self) -> ModelSpec:
        """Return the row of the network."""
        return MODEL_SPECS[self.name]  # type: ignore[index]  # a record holds a name as text

    @property
    def conditions(self) -> str:
        """Return the device, and the batch size, highest learning rate and precision where they are recorded."""
        return f"{self.device}, with {self.trained_with}" if self.trained_with else self.device


class FoldPlan(Record):
    """One training of cross-fitting: the parts of a fold test, the others train and validate."""

    number: int
    """From 1."""
    of: int
    images: DividedImages
    recipe: Recipe
    unlike_share: float
    """As in `EvaluationSettings`."""


class Fold(Record):
    """A fold that was judged by a network that never saw its parts."""

    judged: File
    """`rows.OutOfFoldRow`: the images of the fold."""
    model: Model
    temperature: float
    """Chosen on the parts that validated."""


class OutOfFold(Record):
    """All labeled images, each judged once by a network that never saw its part."""

    judged: File
    """`rows.OutOfFoldRow`, in the order of the manifest."""
    folds: tuple[Fold, ...]
    temperature: float
    """At which the labels of all images are likeliest."""


class Interval(NamedTuple):
    """A confidence interval; in files [low, high]."""

    low: float
    high: float


class Rate(Record):
    """How many images were decided in one way, and what that shows about other parts: photographs of one part are decided alike."""

    count: int
    total: int
    """Images that could be decided so."""
    parts: int
    """Parts that they show; images, where parts are not known."""
    parts_with: int
    """Parts of which at least one image was decided so."""
    effective_parts: float
    """Parts of equal size that tell as much: `evaluation/intervals`."""
    rate: float | None
    interval: Interval | None
    """Two-sided, exact over the effective parts."""
    bound: float | None
    """One-sided: with the same confidence the rate is no larger."""
    confidence: float
    """Of the interval and of the bound."""

    @property
    def failed_parts(self) -> float:
        """Return how many of the effective parts the rate stands for."""
        return self.effective_parts * (self.rate or 0.0)


class Decided(Record):
    """What was decided about a set of images: defective parts that pass, good parts that are rejected, and images for a person."""

    escape: Rate
    false_reject: Rate
    review: Rate
    by_part: bool
    """Whether it is known which images show one part; otherwise each image counts as a part of its own."""


class Castings(Record):
    """The castings behind the counts of a score, with intervals over castings.

    Those of rates are exact over an effective number of castings. Those of the AUC and the cost come from castings drawn again and again.
    """

    defective: int
    """Castings with a defective image."""
    good: int
    """Castings with a good image."""
    missed: int
    """Castings with a missed defect."""
    refused: int
    """Castings with a good image that is refused."""
    accuracy_interval: Interval | None
    escape_rate_interval: Interval | None
    false_reject_rate_interval: Interval | None
    auc_interval: Interval | None = None
    cost_interval: Interval | None = None
    """Of the mean cost of an image, as decided."""


class Costs(Record):
    """Mean cost of an image, in the unit of the settings: as decided, and by three rules that look at none."""

    decided: float
    passing_all: float
    rejecting_all: float
    reviewing_all: float


class Score(Record):
    """The score of the judgments of a set of images. Counts are at the most likely class; every row counts once."""

    images: int
    loss: float | None
    accuracy: float | None
    defects: int
    missed_defects: int
    good: int
    false_rejects: int
    escape_rate: float | None
    escape_rate_interval: Interval | None
    false_reject_rate: float | None
    false_reject_rate_interval: Interval | None
    auc: float | None
    escapes_decided: int
    """Defects that the decision (threshold and review band) passes."""
    rejects_decided: int
    """Good parts that the decision rejects."""
    passed_decided: int
    """Images that the decision passes."""
    rejected_decided: int
    """Images that it rejects."""
    reviews_decided: int
    """Images that it sends to a person."""
    missed_at_threshold: int
    """Defects less probable than the decision threshold: they would pass if no person looked."""
    rejects_at_threshold: int
    """Good parts at least as probably defective as the threshold: they would be rejected if no person looked."""
    costs: Costs | None
    """None without an image."""
    castings: Castings | None
    """None where castings are not known."""
    decided: Decided


class Guarantee(Record):
    """The promise that no larger share than this of all defective parts passes, and the parts that it rests on."""

    share: float
    confidence: float
    parts: int
    """Defective parts; where parts are not known, defective photographs without their copies."""
    may_pass: int
    """How many of these may pass at most; a part passes if one of its photographs does."""
    missing: int
    """Defective parts that are missing. Until they are there, nothing passes; 0: the promise holds for what passes."""
    by_part: bool
    """Whether it is known which images show one part; otherwise each photograph counts as a part, together with its copies."""

    def summary(self) -> str:
        """Say what is promised, or why nothing passes."""
        unit, share = "defective parts" if self.by_part else "defective photographs", f"{100 * self.share:.3g}%"
        if self.missing:
            needed = f"{self.parts + self.missing:,} {unit} are needed, {self.parts:,} are there: {self.missing:,} more"
            return f"Nothing passes: to guarantee {share} at {self.confidence:.0%} confidence {needed}"
        return (
            f"Guarantee: with {self.confidence:.0%} confidence at most {share} of {unit} pass. {self.parts:,} {unit} were used; "
            f"{self.may_pass:,} of them may pass"
        )


class PartErrors(Record):
    """A part of which a network that never saw it calls images wrongly, at the most likely class."""

    part: str
    """sha256 of its first image."""
    label: str
    images: int
    errors: int
    first: str
    """Path of the first image that is called wrongly."""


class Crossfit(Record):
    """How all labeled images are judged by networks that never saw their parts."""

    predictions: File
    """`rows.Prediction`; the split of an image is `fold N`."""
    score: Score
    folds: tuple[Score, ...]
    slices: dict[str, Score]
    """By origin."""
    worst: tuple[PartErrors, ...]
    """Parts with errors, those with the most first."""
    suspects: File
    """`rows.Suspect`: images whose label is probably wrong, the most suspect first."""
    corrections: File
    """`dataset/corrections.Correction`: the line of each suspect that takes the class that it probably shows."""
    suspected_images: int
    suspected_parts: int


EvidenceKind = Literal["test", "out of fold", "validation and test"]


class PairedParts(Record):
    """How the model compares with a baseline that answers about each image, part by part."""

    better: int
    """Parts of which the model calls fewer images wrongly than the baseline does."""
    worse: int
    p: float
    """Chance of at least so many better parts if better and worse were equally likely (sign test, one-sided)."""


class RankedParts(Record):
    """How the model compares with answers that are the same for every image."""

    p: float
    """Chance that defective parts rank so far above good ones if all ranks were equally likely (Mann-Whitney, one-sided)."""
    cost: float
    """Mean of an image, as decided."""
    constant_cost: float
    """Of the cheapest rule that decides about all images alike."""

    @property
    def cheaper(self) -> bool:
        """Return whether the decisions cost less than that rule, by more than sums of costs may differ through rounding."""
        return self.cost < self.constant_cost - 1e-9


class BaselineComparison(Record):
    """How the model compares with simple rules, on parts of which no image trained it or them."""

    evidence: EvidenceKind | None
    """Where the parts come from; None where parts are not known."""
    parts: int = 0
    defective_parts: int = 0
    """Parts with a defective image."""
    good_parts: int = 0
    majority: RankedParts | None = None
    """None where the parts are too few, as for the others."""
    lookup: PairedParts | None = None
    """Beside the label of the most similar training thumbnail."""
    shortcuts: PairedParts | None = None
    """Beside brightness, border brightness and sharpness together."""


class Calibration(Record):
    """What the temperature rests on, and what its uncertainty may change."""

    parts: int
    """Of the images that it was fitted to; images where parts are not known."""
    low: float
    high: float
    """Between these two it lies with 90 % probability."""
    changed: int
    """Test images that would be decided otherwise at one of the two."""


class Workload(Record):
    """How the test would be decided if people could look at no more than a share of the images."""

    share: float
    reviews: int
    """Test images that would go to a person."""
    escapes: int
    """Defective ones that would pass."""
    rejects: int
    """Good ones that would be rejected."""


class Normality(Record):
    """The limits of a network that learned from good parts alone, as held-out good parts set them."""

    images: int
    """Held-out images of good parts."""
    parts: int
    """Parts behind them; images where parts are not known."""
    flagged_share: float
    """Share of the good parts that may go to a person or be rejected."""
    rejected_share: float
    """Share of the good parts that may be rejected."""


class DrawnBlemishes(Record):
    """What a network that learned from good parts alone says of good test images with a drawn blemish."""

    images: int
    passed: int
    reviewed: int
    rejected: int
    auc: float | None
    """Beside the same images without blemish."""


class Evaluation(Record):
    """The result of one pass over validation and test. Every figure comes from the file of predictions."""

    predictions: File
    decision: File
    test: Score
    validation: Score
    slices: dict[str, Score]
    threshold: float
    temperature: float
    review_band: tuple[float, float] | None = None
    review_causes: dict[Cause, int]
    """Test images that go to a person, by cause, the most common first."""
    crossfit: Crossfit | None = None
    """None where no folds were asked for."""
    guarantee: Guarantee | None = None
    """Of the rule; None where none is asked for."""
    baselines: BaselineComparison | None = None
    """None in a record that is older than the comparison."""
    calibration: Calibration | None = None
    """None in a record that is older, and of a network that learned from good parts alone."""
    workloads: tuple[Workload, ...] = ()
    """By the share of the images that people can look at; empty where costs alone do not set the limits."""
    normal: Normality | None = None
    """None of a network that learned from both classes."""
    blemishes: DrawnBlemishes | None = None
    """None of a network that learned from both classes."""

    @property
    def review_reasons(self) -> dict[str, int]:
        """Return `review_causes` in words."""
        return {CAUSES[cause]: count for cause, count in self.review_causes.items()}


class Figure(Record):
    """A picture of the report, with its title and caption."""

    name: str
    title: str
    caption: str
    file: File


class Figures(Record):
    """All pictures of the report."""

    figures: tuple[Figure, ...]


class Format(Record):
    """A network in one format, loaded again in a clean process and asked about all validation images."""

    bytes: int
    images: int
    max_difference: float
    """Greatest difference of a defect probability to that of the trained network."""
    changed_decisions: int
    milliseconds: float
    """Median time for one image alone, in the network only, on the machine that exported it."""

    @property
    def alike(self) -> bool:
        """Return whether it answers like the trained network: no decision changes, and no probability by more than `MAX_DIFFERENCE`."""
        return self.changed_decisions == 0 and self.max_difference <= MAX_DIFFERENCE


class Exports(Record):
    """A model's folder, `artifacts/models/<digest>/`: complete, and never changed later. The record lies in it as `exports.json`."""

    digest: str
    """sha256 over the names and digests of the files that decide an answer."""
    contents: tuple[File, ...]
    """All its files but `exports.json`."""
    formats: dict[str, Format] = {}
    """The formats by name: `keras`, `litert` and `savedmodel`."""


RulingCause = Literal[
    "rule_broken", "first_model", "champion_unusable", "unknown_source", "nothing_to_compare", "dearer_on_origin", "better",
    "new_origins", "worse", "no_better", "in_use", "taken_back_or_refused", "replaced", "superseded", "not_shown",
]  # fmt: skip
RuleCode = Literal[
    "escapes", "false_rejects", "reviews", "export_decisions", "export_size", "export_latency",
    "beside_champion", "origin_beside_champion", "known_source", "beside_majority", "beside_lookup", "beside_shortcuts",
    "drawn_blemishes",
]  # fmt: skip


class Rule(Record):
    """One rule of release: the figure that was found, the limit, and whether the figure keeps to it."""

    name: str
    figure: str
    limit: str
    kept: bool
    code: RuleCode | None = None
    """What the rule is about, whatever words it uses; None: the decision is older than the codes."""
    for_person: bool = False
    """Whether nothing tells if the rule is kept, so that a person decides; then `kept` is false."""


class Release(Record):
    """The decision whether the candidate comes into use, and its reason."""

    verdict: Verdict
    reason: str
    cause: RulingCause | None = None
    """What the reason is about, whatever words it uses; None: the decision is older than the causes."""
    version: int | None
    champion_before: int | None
    decided_in: str
    """Run that took the decision."""
    rules: tuple[Rule, ...] = ()
    tracked: str = ""
    """Its run in MLflow."""
    cached: bool = False
