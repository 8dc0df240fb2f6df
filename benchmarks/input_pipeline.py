"""How much of the training time does the network wait for its images, and what does it take to have them in memory?

python benchmarks/input_pipeline.py --source castings.zip --models compact,ring --json input.json

The same network learns from the pipeline's batches and from one batch that is in memory already, in turn; what it takes
longer with the pipeline is waiting, or sharing processors with it. On a busy machine trust processor time alone.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from benchmarks.isolation import run_isolated, wall_seconds
from benchmarks.preparation import (
    PreparedImages,
    make_parser,
    prepare_images,
    split_names,
    working_places,
    write_figures,
)
from tasks.dataset.folds import divided_images
from tasks.dataset.group_split import assign
from tasks.images import loading
from tasks.networks.tuning import tune_recipe
from tasks.records.rows import Row
from tasks.settings.settings import Places, SplitSettings, TrainingSettings
from tasks.training.stopwatch import Elapsed

if TYPE_CHECKING:
    import tensorflow as tf

    from tasks.training.input_pipeline import Examples

SKIPPED = 5  # steps before the clock starts: the pipeline fills
ENDLESS = range(1_000_000)  # epochs


def main() -> None:
    """Measure each network, print the figures, and write them."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--models", type=split_names, default=["compact", "ring"])
    parser.add_argument("--steps", type=int, default=100, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="medians are over so many, taken in turn")
    options = parser.parse_args()
    with working_places(options.data) as places:
        data = prepare_images(options.source, (), places)
        rows = assign(data.rows, data.copies, SplitSettings())
        figures = {}
        for model in options.models:
            settings = TrainingSettings.model_validate({"model": model})
            figures[model] = {
                **time_loading(data, rows, settings),
                **run_isolated(measure_steps, data, rows, settings, options.steps, options.rounds),
            }
            print(f"\n{model}")
            for name, value in figures[model].items():
                print(f"  {name.replace('_', ' '):<50}{value:>12,.3f}".removesuffix(".000"))
    write_figures(figures, options.json)


def time_loading(data: PreparedImages, rows: Sequence[Row], settings: TrainingSettings) -> dict[str, float]:
    """Time how long it takes until the training images are in memory: with nothing cached of them, and again."""
    training, recipe = [row for row in rows if row.split == "train"], settings.recipe()
    with tempfile.TemporaryDirectory() as scratch:
        places = Places(data=Path(scratch))
        (places.data / "images").symlink_to(data.places.data.absolute() / "images")
        first, later = (
            wall_seconds(lambda: loading.load_inputs(training, recipe.view, recipe.image_size, places))
            for _ in range(2)
        )
    return {"train_images": len(training), "first_seconds": first, "later_seconds": later}


def measure_steps(
    data: PreparedImages, rows: Sequence[Row], settings: TrainingSettings, number: int, rounds: int
) -> dict[str, float]:
    """Return the figures of `number` steps from memory, from the pipeline, and of the pipeline alone."""
    import tensorflow as tf

    from benchmarks.step_timer import time_steps
    from tasks.networks import devices
    from tasks.training import trainer
    from tasks.training.input_pipeline import steps, training_batches

    examples = load_training_examples(data, rows, settings)
    recipe = tune_recipe(settings.recipe(), devices.device_class())
    network = trainer.compile_network(trainer.build_network(recipe), recipe, number * rounds * 2)
    augment_view = None if recipe.spec.reference else recipe.view
    pipeline = training_batches(
        examples, batch_size=recipe.batch_size, epochs=ENDLESS, seed=recipe.seed, augment_view=augment_view
    )
    feeds = {"memory": tf.data.Dataset.from_tensors(next(iter(pipeline))).repeat(), "pipeline": pipeline}
    mean = len(examples.labels) / steps(examples, recipe.batch_size)  # of a batch: the last of an epoch may be smaller
    batch = {"memory": recipe.batch_size, "pipeline": mean}
    elapsed_per_image: dict[str, list[Elapsed]] = {name: [] for name in feeds}
    time_steps(network, feeds["memory"], SKIPPED, 1)  # compiles
    for turn in range(rounds):
        for name in sorted(feeds, reverse=turn % 2 == 1):
            elapsed = time_steps(network, feeds[name], SKIPPED, number).rest_elapsed
            elapsed_per_image[name].append(Elapsed(*(total / (number * batch[name]) for total in elapsed)))
    return step_figures(
        elapsed_per_image["memory"], elapsed_per_image["pipeline"], time_pipeline(pipeline, number, mean)
    )


def step_figures(memory: Sequence[Elapsed], pipeline: Sequence[Elapsed], alone: Elapsed) -> dict[str, float]:
    """Return the figures, from seconds an image."""
    pairs = list(zip(memory, pipeline, strict=True))
    return {
        "images_per_second_from_memory": 1 / statistics.median(reading.wall for reading in memory),
        "images_per_second": 1 / statistics.median(reading.wall for reading in pipeline),
        "pipeline_alone_images_per_second": 1 / alone.wall,
        "pipeline_alone_processor_milliseconds_an_image": 1e3 * alone.cpu,
        "processor_milliseconds_an_image_from_memory": 1e3 * statistics.median(reading.cpu for reading in memory),
        "processor_milliseconds_an_image": 1e3 * statistics.median(reading.cpu for reading in pipeline),
        "share_of_waiting": statistics.median(
            1 - from_memory.wall / from_pipeline.wall for from_memory, from_pipeline in pairs
        ),
        "share_of_processor_time": statistics.median(
            1 - from_memory.cpu / from_pipeline.cpu for from_memory, from_pipeline in pairs
        ),
    }


def load_training_examples(data: PreparedImages, rows: Sequence[Row], settings: TrainingSettings) -> "Examples":
    """Return the training images as `train` sees them."""
    from tasks.training.training_set import load_examples, plan_training

    with redirect_stdout(sys.stderr):
        plan = plan_training(rows, settings.recipe(), data.places)
        return load_examples(
            plan.train_rows, plan, divided_images(rows, data.classes, data.places, castings=True), data.places
        ).examples


def time_pipeline(pipeline: "tf.data.Dataset", steps: int, mean: float) -> Elapsed:
    """Return the seconds an image of the pipeline without a network, once it is full. `mean` is the images of a batch."""
    batches = iter(pipeline)
    next(batches)
    began = Elapsed.now()
    for _ in islice(batches, steps):
        pass
    return Elapsed(*(total / (steps * mean) for total in Elapsed.now() - began))


if __name__ == "__main__":
    main()
