"""Settings: every number that a run may change. A step takes only the classes that it needs, so a change repeats only what it affects."""

import re
import unicodedata
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tasks.settings.crops import MASK, Crop
from tasks.settings.escaping import for_terminal, for_utf8
from tasks.settings.frames import PictureSizes, choose_frame, in_pixels
from tasks.settings.model_specs import AUTO, MODEL_SPECS, InputSize, ModelName, ModelSpec, ViewName

Precision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]
Beginning = Literal["scratch", "champion"]
Protocol = Literal["cleaned", "published", "grouped"]
SAMPLE, SAMPLE_TILES = "sample", "sample:tiles"  # as a source: a built-in sample, which is drawn
DEFECT, GOOD = "def_front", "ok_front"  # class folders of the published castings, and of the sample
CASTING = "casting"  # the product that those folders show
PRODUCT = re.compile(r"[^\W_]+(?:[ -][^\W_]+)*")  # the name of a product
MAX_PRODUCT = 40  # letters of it
PART_TABLE = ".csv"  # suffix of a table of parts; any other text is a pattern
MODEL, SAMPLE_MODEL = "recast", "recast-sample"  # registered models: of all other sources, and of the castings
SAMPLE_MODELS = {SAMPLE: SAMPLE_MODEL, SAMPLE_TILES: "recast-sample-tiles"}  # products never compete for one model


T = TypeVar("T")


def require_utf8(value: T) -> T:
    """Return the setting as it is. Raises ValueError where its text is not UTF-8, which no record can hold."""
    if for_utf8(str(value)) != str(value):
        raise ValueError(f"{for_terminal(str(value))} has a name that is not UTF-8: rename it, or give another")
    return value


Composed = Annotated[str, BeforeValidator(require_utf8), AfterValidator(partial(unicodedata.normalize, "NFC"))]
NamedPath = Annotated[Path, BeforeValidator(require_utf8)]


class Settings(BaseModel):
    """Frozen; an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Classes(Settings):
    """The names of the two classes. The defect is the positive class."""

    defect: Composed = DEFECT
    good: Composed = GOOD


def split_names(value: object) -> object:
    """Return the names in a text, with commas between them, or in several such texts; another value as it is."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return value
    return tuple(name.strip() for text in texts for name in text.split(","))


FolderName = Annotated[Composed, Field(min_length=1, pattern=r"^[^/\\]+$")]


class ClassSettings(Settings):
    """Which folders, or labels of a table, mean defective and good. What is unset is found in the source."""

    defect: Annotated[tuple[FolderName, ...], BeforeValidator(split_names)] | None = Field(None, min_length=1)
    """Folders of defective parts, with commas between them; unset: `def_front`, or else all class folders but the good one."""
    good: FolderName | None = None
    """Folder of good parts; unset: `ok_front`, `good`, `ok`, `normal` or `free`, the first of these that is there."""

    @model_validator(mode="after")
    def require_other_names(self) -> Self:
        """Raise ValueError where a folder holds both classes."""
        if self.good and self.good in (self.defect or ()):
            raise ValueError(f"both classes are called {self.good!r}: name the class folders with --defect and --good")
        return self


class DrawnSettings(Settings):
    """Which parts a built-in sample draws, and which faults are planted in it."""

    seed: int = Field(0, ge=0)
    """Draws other parts and photographs."""
    exact_copies: int = Field(0, ge=0)
    """Fault: files that repeat another byte by byte; of castings, train files that repeat a test file."""
    transformed_copies: int = Field(0, ge=0)
    """Fault: files that are flipped, turned, re-lit, shifted or recompressed copies of a photograph; of castings, of a test photograph."""
    corrupt_files: int = Field(0, ge=0)
    """Fault: damaged files, each kind of damage in turn."""
    new_camera_images: int = Field(0, ge=0)
    """Fault: photographs from a set-up that the others lack: castings on a bright background, tiles under a lamp close to one corner."""


class SampleSettings(DrawnSettings):
    """The source `sample`: how many drawn castings, and which faults are planted in it."""

    parts: int = Field(120, ge=8, le=2_000)
    """Physical castings drawn; about half of them are defective."""
    train_images: int = Field(1_000, ge=16, le=100_000)
    """Photographs in train/."""
    test_images: int = Field(300, ge=8, le=100_000)
    """Photographs in test/."""
    shared_parts: float = Field(0.0, ge=0, le=1)
    """Fault: share of the test castings that are photographed for train/ too."""


class TilesSettings(DrawnSettings):
    """The source `sample:tiles`: how many drawn tiles, and which faults are planted in it; it has no published split."""

    parts: int = Field(160, ge=8, le=2_000)
    """Physical tiles drawn, each photographed under two to six lamps; about a third of them are defective."""


def model_suffix(product: str) -> str:
    """Return the name of a product as the names of models and tags have it: lower case, with hyphens for spaces."""
    return product.lower().replace(" ", "-")


def require_product(name: str) -> str:
    """Return the name of a product as it is. Raises ValueError where it is no short noun, or would name the model of a sample."""
    if not PRODUCT.fullmatch(name) or len(name) > MAX_PRODUCT:
        raise ValueError(
            f"product is {for_terminal(name)!r}: a noun in the singular is expected, at most {MAX_PRODUCT} letters and digits, "
            "with single spaces or hyphens between them, such as casting or magnetic tile"
        )
    if model_suffix(name).partition("-")[0] == SAMPLE:
        raise ValueError(
            f"product is {name!r}, and its model would bear the name of a built-in sample's: give another noun, such as part"
        )
    return name


class FetchSettings(Settings):
    """Where the images come from."""

    source: Annotated[str, BeforeValidator(require_utf8)] = Field(SAMPLE, min_length=1)
    """`sample` (drawn castings), `sample:tiles` (drawn tiles), a zip file, a folder, or `kaggle:OWNER/SLUG[/VERSION]`."""
    product: Annotated[Composed, AfterValidator(require_product)] | None = None
    """What is inspected, a noun in the singular such as `magnetic tile`: reports say it, and its model has a name of its own;
    unset: `casting` where the class folders are `def_front` and `ok_front`, else `part`."""
    arrivals: tuple[NamedPath, ...] | None = None
    """Folders of new labeled images, class folders inside; unset: `<data>/inbox`, if it holds any."""
    settle_seconds: float = Field(2.0, ge=0, le=3_600)
    """A new file that changes within so many seconds is still being written: it is left for the next run."""
    classes: ClassSettings = ClassSettings()
    sample: SampleSettings = SampleSettings()
    tiles: TilesSettings = TilesSettings()


class ValidationSettings(Settings):
    """Which files count as images of parts."""

    max_megapixels: float = Field(40.0, gt=0, le=1_000)
    """Larger images are refused before they are decoded, in megapixels."""
    max_bad_fraction: float = Field(0.05, ge=0, le=1)
    """More refused files than this share of an origin end the run."""
    min_side: int = Field(32, ge=1, le=10_000)
    """Least width and height of a picture, in pixels."""
    min_deviation: float = Field(2.0, ge=0, le=100)
    """Least standard deviation of a picture seen at a quarter of its size, in gray levels of 255: less is a blank image."""


class AuditSettings(Settings):
    """How copies and parts are recognized. Copies byte by byte need no setting."""

    copy_limit: float = Field(0.955, gt=0.5, lt=1)
    """Two images are of one photograph from this correlation of their detail on."""
    casting_limit: float = Field(0.52, gt=0.2, lt=1)
    """Two photographs are of one part from this correlation of the marks on their rings on."""
    max_ring_residual: float = Field(0.0075, gt=0, lt=0.1)
    """A rim whose edge lies further from an ellipse than this share of its radius is no ring."""
    min_ring_share: float = Field(0.9, gt=0, le=1)
    """Parts are told by their rings where at least this share of the images shows one; elsewhere by their detail."""
    false_partner_share: float = Field(0.01, gt=0, lt=0.5)
    """By detail: share of the images that may join a wrong part by chance."""
    min_partner_share: float = Field(0.5, gt=0, le=1)
    """By detail: parts are known where at least this share of the images, copies aside, has a partner."""


class SplitSettings(Settings):
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
    parts: Annotated[str, BeforeValidator(require_utf8)] | None = None
    """Which photographs show one part: a regular expression with one group on the path below the class folders' root
    (`<batch>/...` of what arrived), or a CSV `path,part`; unset: as the source says, else as their pictures show."""

    @model_validator(mode="after")
    def require_pattern(self) -> Self:
        """Raise ValueError where `parts` is neither a table nor a regular expression with one group."""
        if self.parts and not self.parts.lower().endswith(PART_TABLE):
            try:
                groups = re.compile(self.parts).groups
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(
                    f"parts is {self.parts!r}, which is no regular expression ({error}) and no {PART_TABLE} file"
                ) from error
            if groups != 1:
                raise ValueError(
                    f"parts is {self.parts!r}, which has {groups} groups: one is expected, around the name of the part, "
                    "such as (part_[0-9]+)"
                )
        return self


class ViewSettings(Settings):
    """Where in a picture the network looks. The audit and its statistics see whole pictures."""

    crop: Crop | None = None
    """Unset: everywhere; `part`: at the part, found by its outline; `mask`: where masks of the training images mark defects, one box for
    all pictures; or a box LEFT,TOP,RIGHT,BOTTOM in shares of width and height, such as 0.1,0.2,0.9,0.8."""


class ChampionModel(Settings):
    """The model in use, as training may continue from it."""

    digest: str
    """Of its folder under `artifacts/models`."""
    model: str
    image_size: InputSize
    crop: Crop | None = None
    """As in `Recipe`."""

    def difference(self, recipe: "Recipe") -> str | None:
        """Say why a training of the recipe cannot continue from the model: it sees pictures in another way. None where it can."""
        if (self.model, self.image_size) != (recipe.model, recipe.image_size):
            return f"the model in use is {self.model} of {in_pixels(self.image_size)}"
        if self.crop != recipe.crop:
            return f"the model in use looks at {self.crop or 'whole pictures'}, and this one at {recipe.crop or 'whole pictures'}"
        return None


class Recipe(Settings):
    """What decides the trained weights, besides the images and the class of the device."""

    model: ModelName
    epochs: int | None
    """None: as many as so many images need, by `trainer.epoch_budget`."""
    image_size: InputSize
    crop: Crop | None = None
    """Where in a picture the network looks; None: everywhere."""
    batch_size: int | None = None
    """This and the learning rate, if None, as `tasks.networks.tuning` says for the device."""
    learning_rate: float | None = None
    seed: int
    deterministic: bool = False
    precision: Precision = "auto"
    jit_compile: bool | None = None
    """None: where the training has as many steps as XLA needs to pay."""
    start_from: Beginning = "scratch"
    start_epochs: int | None = None
    """Of a training that continues; None: as many as `start_share` allows."""
    start_share: float = 0.2
    """A training that continues may take this share of the work of a training from new weights."""
    start_rate: float = 0.25
    """A training that continues multiplies the learning rate by this, so that it keeps what its weights know."""
    champion: ChampionModel | None = Field(None, exclude=True)
    """The model that the training continues from. No cache key holds it: a run whose own model became the champion is still
    remembered when it is repeated."""

    def from_scratch(self) -> Self:
        """Return the recipe of the same training from new weights."""
        return self.model_copy(update={"start_from": "scratch", "champion": None})

    @property
    def spec(self) -> ModelSpec:
        """Return the row of the network."""
        return MODEL_SPECS[self.model]

    @property
    def view(self) -> ViewName:
        """Return the view in which the network sees an image, a key of `tasks.images.views.VIEWS`."""
        return self.spec.view


class TunedRecipe(Recipe):
    """A recipe that leaves nothing open to the device."""

    batch_size: int
    learning_rate: float


class TrainingSettings(Settings):
    """Which network, and how long it learns. What is unset comes from the model's recipe, and what the device decides from its class."""

    model: Literal["auto", ModelName] = "auto"
    """`auto`: `ring` where parts show a ring, the better of `ring` and `patch` in a trial where most do, else `patch`; `ring`: sees
    the ring, unwrapped; `patch`: sees the detail of the whole picture; `normal`: as `patch`, but learns from good parts alone, where
    there are no or few defects; `compact`: small and quick, sees the whole picture;
    `backbone`: a large network that knows ImageNet, whose first weights Keras downloads once; `tutorial`, `tutorial_dropout`: the
    published networks, for comparison."""
    min_ring_share: float = Field(0.99, gt=0, le=1)
    """`auto` takes `ring` untried where at least this share of the training images shows a ring."""
    min_tried_ring_share: float = Field(0.8, gt=0, le=1)
    """`auto` tries `ring` and `patch` in short trainings where at least this share shows a ring; below it takes `patch`."""
    epochs: int | None = Field(None, ge=1, le=1_000)
    """Passes over the training images; unset: 4 of a tutorial model, of the others the more the fewer images there are."""
    image_size: int | None = Field(None, ge=32, le=2_048)
    """Side of the square that the network sees, in pixels; of `patch` the longer side, unset: as pictures and masks ask for."""
    batch_size: int | None = Field(None, ge=1, le=4_096)
    """Images a step; unset: as the table in `tasks/networks/tuning.py` says for the device."""
    learning_rate: float | None = Field(None, gt=0, le=1)
    """Highest learning rate of the schedule; unset: the model's own, times the root of a 32nd of the batch size."""
    seed: int = Field(0, ge=0)
    """Start weights, order and augmentation."""
    deterministic: bool = False
    """Two runs of one seed on one machine give equal weights, on a GPU too; slower there."""
    precision: Precision = "auto"
    """What is computed with; `auto`: float32 on processors and old GPUs, else the half precision that the GPU is made for."""
    jit_compile: bool | None = None
    """Compile the network with XLA; unset: on GPUs on which it was measured to pay, from that number of steps on."""
    start_from: Beginning = "scratch"
    """`champion`: continue from the weights of the model in use, with new images and as many old ones; `scratch`: new weights."""
    require_gpu: bool = False
    """Stop at once when TensorFlow sees no GPU."""

    @model_validator(mode="after")
    def require_size_of_model(self) -> Self:
        """Raise ValueError where another image size is set for a network that takes only its own."""
        spec = None if self.model == "auto" else MODEL_SPECS[self.model]
        if spec and spec.fixed_size and self.image_size not in (None, spec.image_size):
            raise ValueError(
                f"image_size is {self.image_size}, but the {self.model} model is made for images {spec.image_size} pixels wide: "
                "leave image_size out, or take --model patch"
            )
        return self

    @property
    def good_alone(self) -> bool:
        """Return whether the network learns from good parts alone."""
        return self.model != "auto" and MODEL_SPECS[self.model].good_alone

    def needs_trial(self, ring_share: float, champion: ChampionModel | None = None, crop: Crop | None = None) -> bool:
        """Return whether only a trial can tell which network suits the images. The arguments are as in `choice`."""
        return (
            self.model == "auto"
            and self.image_size is None
            and self.min_tried_ring_share <= ring_share < self.min_ring_share
            and not self.continued(ring_share, champion, crop)
        )

    def continued(self, ring_share: float, champion: ChampionModel | None, crop: Crop | None) -> ModelName | None:
        """Return the network of the model in use where it suits the images; None where it does not. The arguments are as in `choice`."""
        name = next(
            (name for name in MODEL_SPECS if champion and (name, crop) == (champion.model, champion.crop)), None
        )
        if name and not MODEL_SPECS[name].good_alone:
            return name if MODEL_SPECS[name].view != "ring" or ring_share >= self.min_tried_ring_share else None
        return None

    def choice(
        self, ring_share: float, champion: ChampionModel | None = None, crop: Crop | None = None
    ) -> tuple[ModelName, str]:
        """Return the network to train, and why.

        `ring_share` is the share of the training images that show a ring within the `crop`. `champion` is the model from which training
        continues; None: from new weights.
        """
        if self.model != "auto":
            return self.model, "it was asked for"
        if self.image_size not in (None, MODEL_SPECS[AUTO[True]].image_size):
            return AUTO[False], f"images of {self.image_size} pixels were asked for"
        ringed = ring_share >= self.min_ring_share
        if name := self.continued(ring_share, champion, crop):
            return name, "training continues from the model in use"
        return (
            AUTO[ringed],
            f"{ring_share:.1%} of the training images show a ring, and {AUTO[True]} needs {self.min_ring_share:.0%}",
        )

    def recipe(
        self,
        ring_share: float = 0.0,
        champion: ChampionModel | None = None,
        pictures: PictureSizes | None = None,
    ) -> Recipe:
        """Return the recipe: these settings, and where one is unset the number of the chosen network.

        `pictures` are the sizes of the training pictures, by which a network that keeps their aspect chooses its frame, and their crop.
        """
        crop = pictures.crop if pictures else None
        model, _ = self.choice(ring_share, champion, crop)
        settings = self.model_dump(exclude={"require_gpu", "min_ring_share", "min_tried_ring_share"}, exclude_none=True)
        size = self.size_of(model, champion, pictures)
        return Recipe.model_validate({
            "epochs": MODEL_SPECS[model].epochs, **settings,
            "model": model, "image_size": size, "crop": crop,
            "start_epochs": self.epochs, "champion": champion,
        })  # fmt: skip

    def size_of(self, model: ModelName, champion: ChampionModel | None, pictures: PictureSizes | None) -> InputSize:
        """Return the size at which the network sees images."""
        spec = MODEL_SPECS[model]
        if spec.view != "detail":
            return self.image_size or spec.image_size
        crop = pictures.crop if pictures else None
        if champion and (champion.model, champion.crop) == (model, crop) and not self.image_size:
            return champion.image_size  # another frame would need new weights
        return choose_frame(pictures or PictureSizes(width=spec.image_size, height=spec.image_size), self.image_size)


class CrossfitSettings(Settings):
    """How every part is judged by a network that never saw it."""

    folds: int = Field(0, ge=0, le=50)
    """So many networks are trained besides, each without the parts that it judges; 0: none."""
    seed: int = Field(0, ge=0)
    """Draws the folds, and in each the parts that validate."""

    @model_validator(mode="after")
    def require_others_to_learn_from(self) -> Self:
        """Raise ValueError for a single fold: it would hold all parts, and leave none to learn from."""
        if self.folds == 1:
            raise ValueError("crossfit.folds is 1, which leaves no part to learn from: give 2 or more, or 0 for none")
        return self


class EvaluationSettings(Settings):
    """What a decision costs, when an image is unlike those known, and how figures are reported."""

    escape_cost: float = Field(10.0, gt=0, le=1e6)
    """Cost of passing a defective part; all three costs are in one unit, such as a good part refused."""
    false_reject_cost: float = Field(1.0, gt=0, le=1e6)
    """Cost of rejecting a good part."""
    review_cost: float = Field(0.2, gt=0, le=1e6)
    """Cost of a person's look at a part."""
    max_review_share: float | None = Field(None, ge=0, le=1)
    """People can look at no more than this share of the images: those for which a look saves most; unset: costs alone decide. Images
    that are unlike the training images always go to a person, and count."""
    unlike_share: float = Field(0.01, gt=0, lt=0.5)
    """Share of the known images that may count as unlike the others, when their own part is left out."""
    flagged_share: float = Field(0.05, gt=0, lt=0.5)
    """At most this share of good images is not passed by `--model normal`: most of them go to a person, few are rejected."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of the intervals and of the guarantee."""
    guarantee: float | None = Field(None, ge=1e-4, lt=1)
    """Share of the defective parts that passes at most, with that confidence; unset: costs alone decide what passes."""
    resamples: int = Field(1_000, ge=100, le=100_000)
    """Draws of parts behind an interval over parts."""
    seed: int = Field(0, ge=0)
    """Draws other parts."""

    @model_validator(mode="after")
    def require_one_limit(self) -> Self:
        """Raise ValueError where both the looks and what passes are limited: each limit would break the other."""
        if self.guarantee is not None and self.max_review_share is not None:
            raise ValueError(
                "guarantee and max_review_share are both set, and one can break the other: what the guarantee does not let pass goes to a "
                "person, however many these are; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def require_paying_review(self) -> Self:
        """Raise ValueError where a review costs as much as any part is expected to cost without one: nobody would ever review."""
        most = self.escape_cost * self.false_reject_cost / (self.escape_cost + self.false_reject_cost)
        if self.review_cost >= most:
            raise ValueError(
                f"review_cost is {self.review_cost:g}, but without a look no part is expected to cost more than {most:.3g} "
                "(escape_cost x false_reject_cost / their sum), so nobody would ever look: set review_cost below that"
            )
        return self


class SpotCheckSettings(Settings):
    """Which of the passed and rejected parts a person looks at, blind."""

    share: float = Field(0.02, ge=0, le=1)
    """Share of the passed and of the rejected parts that is drawn."""
    least_a_week: int = Field(20, ge=0)
    """At least so many parts of each decision are drawn in a week, at each station folder."""
    max_wrong_share: float = Field(0.02, gt=0, lt=0.5)
    """Share of the passed parts that may be defective: the alarm tells when there are more."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Of the bounds: one-sided."""


class AcceptanceSettings(Settings):
    """What a model must show before it is promoted: by itself on the test images, in its exports, and beside the model in use."""

    max_escape_rate: float = Field(0.05, ge=0, le=1)
    """Most defective parts that may pass, as a share of the defective."""
    max_false_reject_rate: float = Field(0.10, ge=0, le=1)
    """Most good parts that may be refused, as a share of the good."""
    max_review_rate: float = Field(0.25, ge=0, le=1)
    """Most images that may go to a person: a model that leaves all to people makes no mistake."""
    max_megabytes: float = Field(200.0, gt=0)
    """Largest file of the network in any format."""
    max_milliseconds: float = Field(1_000.0, gt=0)
    """Longest that the network may take for one image, in any format, on the machine that exports it."""
    confidence: float | None = Field(None, gt=0.5, lt=1)
    """Confidence with which the test must show that a rate is within its limit, by part; unset: the rate that was found counts."""
    significance: float = Field(0.05, gt=0, lt=0.5)
    """A difference to the model in use, or to a baseline, counts when equal ones would show it less often than this."""
    beyond_baselines: bool = True
    """A model must be shown to be better than majority, look-up and shortcuts, on parts that do not train; where that cannot be
    shown, it waits for a person."""
    max_blemishes_passed: float = Field(0.5, ge=0, le=1)
    """Of a model that learned from good parts alone: most drawn blemishes that may pass, as a share."""
    require_approval: bool = False
    """What passes all rules waits as challenger until a person promotes it: flows/promote.py."""


class PlaceFolder:
    """A folder with a fixed name below one of the two places. As an attribute of `Places`, it is an absolute path."""

    def __init__(self, root: Literal["data_root", "artifacts_root"], *, recorded: bool = False) -> None:
        self.root, self.recorded = root, recorded

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, places: "Places", owner: type) -> Path:
        return Path(getattr(places, self.root), self.name)


class Places(Settings):
    """The two folders, relative ones from the current folder, and the name in the registry."""

    data: NamedPath = Path("data")
    """The inbox, and what can be deleted because it is made again."""
    artifacts: NamedPath = Path("artifacts")
    """What is kept: runs, models, the registry."""
    registered_model: str | None = Field(None, min_length=1, pattern=r"^[^/:'`]+$")
    """Name in MLflow of the model that versions are of, and of the experiment; unset: `recast-sample` and `recast-sample-tiles`
    for the built-in samples, for all other sources `recast`, or with `--product magnetic tile` `recast-magnetic-tile`."""

    inbox: ClassVar = PlaceFolder("data_root")  # the user's new images
    archives: ClassVar = PlaceFolder("data_root", recorded=True)  # fetched sources
    extracted: ClassVar = PlaceFolder("data_root")  # where an archive is unpacked
    quarantine: ClassVar = PlaceFolder("data_root")  # copies of refused files
    tables: ClassVar = PlaceFolder("data_root", recorded=True)
    networks: ClassVar = PlaceFolder("data_root", recorded=True)
    decisions: ClassVar = PlaceFolder("data_root", recorded=True)
    figures: ClassVar = PlaceFolder("data_root", recorded=True)
    cache: ClassVar = PlaceFolder("data_root")  # remembered steps
    runs: ClassVar = PlaceFolder("artifacts_root")  # finished runs
    models: ClassVar = PlaceFolder("artifacts_root")  # each named by its digest

    @property
    def data_root(self) -> Path:
        """Return the absolute path of `data`; the field keeps what was given, so that a deployment holds on another machine too."""
        return self.data.absolute()

    @property
    def artifacts_root(self) -> Path:
        """Return the absolute path of `artifacts`."""
        return self.artifacts.absolute()

    def recorded_folders(self) -> list[Path]:
        """Return the folders of `data` whose files records name."""
        folders = [(name, folder) for name, folder in vars(Places).items() if isinstance(folder, PlaceFolder)]
        return [getattr(self, name) for name, folder in folders if folder.recorded]

    @property
    def registered_name(self) -> str:
        """Return the name that is set, else that of all sources but the samples."""
        return self.registered_model or MODEL

    def with_model(self, model: str | None) -> Self:
        """Return the same folders with this name in the registry."""
        return self.model_copy(update={"registered_model": model})


class Config(Settings):
    """One retraining run."""

    fetch: FetchSettings = FetchSettings()
    validation: ValidationSettings = ValidationSettings()
    audit: AuditSettings = AuditSettings()
    splitting: SplitSettings = SplitSettings()
    view: ViewSettings = ViewSettings()
    crossfit: CrossfitSettings = CrossfitSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    acceptance: AcceptanceSettings = AcceptanceSettings()
    places: Places = Places()

    @model_validator(mode="after")
    def require_defects_that_train(self) -> Self:
        """Raise ValueError where a network that learns from good parts alone is asked for what needs defects that train or validate."""
        asked = {
            "--crossfit.folds": self.crossfit.folds,
            "--evaluation.guarantee": self.evaluation.guarantee,
            "--evaluation.max_review_share": self.evaluation.max_review_share is not None,
            f"--view.crop {MASK}": self.view.crop == MASK,
        }
        if self.training.good_alone and (options := [option for option, value in asked.items() if value]):
            raise ValueError(
                f"--model {self.training.model} learns from good parts alone, and {' and '.join(options)} needs defects that train or "
                f"validate: leave out {' and '.join(options)}, or take a network that learns from both classes"
            )
        return self

    def with_model(self) -> Self:
        """Return the same settings with the registered model named: as it is set, else by the source and the product."""
        model = self.places.registered_model or default_model(self.fetch.source, self.fetch.product)
        return self.model_copy(update={"places": self.places.with_model(model)})


def default_model(source: str, product: str | None = None) -> str:
    """Return the registered model of a source and a product: drawn parts never take the place of a plant's."""
    suffix = model_suffix(product or CASTING)
    return SAMPLE_MODELS.get(source, MODEL if suffix == CASTING else f"{MODEL}-{suffix}")
