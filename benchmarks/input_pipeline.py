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

from benchmarks.apart import apart, seconds
from benchmarks.prepared import Prepared, arguments, names, prepared, room, write
from benchmarks.training import splits_of
from tasks.dataset.group_split import assign
from tasks.images import loading
from tasks.networks.tuning import tune_recipe
from tasks.records.rows import Row
from tasks.settings.settings import Places, SplitSettings, TrainingSettings
from tasks.training.stopwatch import Elapsed

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from tasks.training.input_pipeline import Examples

SKIPPED = 5  # steps before the clock starts: the pipeline fills
ENDLESS = range(1_000_000)  # epochs


def main() -> None:
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument("--models", type=names, default=["compact", "ring"])
    parser.add_argument("--steps", type=int, default=100, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="medians are over so many, taken in turn")
    asked = parser.parse_args()
    with room(asked.data) as places:
        data = prepared(asked.source, (), places)
        rows = assign(data.rows, data.copies, SplitSettings())
        figures = {}
        for model in asked.models:
            settings = TrainingSettings.model_validate({"model": model})
            figures[model] = {
                **images(data, rows, settings),
                **apart(fed, data, rows, settings, asked.steps, asked.rounds),
            }
            print(f"\n{model}")
            for name, value in figures[model].items():
                print(f"  {name.replace('_', ' '):<50}{value:>12,.3f}".removesuffix(".000"))
    write(figures, asked.json)


def images(data: Prepared, rows: Sequence[Row], settings: TrainingSettings) -> dict[str, float]:
    """Seconds until the training images are in memory: with nothing kept of them, and again."""
    learning, recipe = [row for row in rows if row.split == "train"], settings.recipe()
    with tempfile.TemporaryDirectory() as scratch:
        places = Places(data=Path(scratch))
        (places.data / "images").symlink_to(data.places.data.absolute() / "images")
        first, later = (
            seconds(lambda: loading.load_inputs(learning, recipe.view, recipe.image_size, places)) for _ in range(2)
        )
    return {"train_images": len(learning), "first_seconds": first, "later_seconds": later}


def fed(data: Prepared, rows: Sequence[Row], settings: TrainingSettings, number: int, rounds: int) -> dict[str, float]:
    """What the network takes on each diet, and the pipeline alone; `number` is of steps."""
    import tensorflow as tf

    from tasks.networks import devices
    from tasks.training import trainer
    from tasks.training.input_pipeline import steps, training_batches

    examples, recipe = learning(data, rows, settings), tune_recipe(settings.recipe(), devices.device_class())
    learner = trainer.compile_network(trainer.build_network(recipe), recipe, number * rounds * 2)
    altered = None if recipe.spec.reference else recipe.view
    pipeline = training_batches(
        examples, batch_size=recipe.batch_size, epochs=ENDLESS, seed=recipe.seed, altered=altered
    )
    diets = {"memory": tf.data.Dataset.from_tensors(next(iter(pipeline))).repeat(), "pipeline": pipeline}
    mean = len(examples.labels) / steps(examples, recipe.batch_size)  # of a batch: the last of an epoch may be smaller
    batch = {"memory": recipe.batch_size, "pipeline": mean}
    spent: dict[str, list[Elapsed]] = {name: [] for name in diets}
    learn(learner, diets["memory"], 1)  # compiles
    for turn in range(rounds):
        for name in sorted(diets, reverse=turn % 2 == 1):
            one = learn(learner, diets[name], number)
            spent[name].append(Elapsed(*(total / (number * batch[name]) for total in one)))
    return told(spent["memory"], spent["pipeline"], alone(pipeline, number, mean))


def told(memory: Sequence[Elapsed], pipeline: Sequence[Elapsed], alone: Elapsed) -> dict[str, float]:
    """The figures, from seconds an image."""
    both = list(zip(memory, pipeline, strict=True))
    return {
        "images_per_second_from_memory": 1 / statistics.median(one.wall for one in memory),
        "images_per_second": 1 / statistics.median(one.wall for one in pipeline),
        "pipeline_alone_images_per_second": 1 / alone.wall,
        "pipeline_alone_processor_milliseconds_an_image": 1e3 * alone.cpu,
        "processor_milliseconds_an_image_from_memory": 1e3 * statistics.median(one.cpu for one in memory),
        "processor_milliseconds_an_image": 1e3 * statistics.median(one.cpu for one in pipeline),
        "share_of_waiting": statistics.median(1 - one.wall / other.wall for one, other in both),
        "share_of_processor_time": statistics.median(1 - one.cpu / other.cpu for one, other in both),
    }


def learning(data: Prepared, rows: Sequence[Row], settings: TrainingSettings) -> "Examples":
    """The training images as `train` sees them."""
    from tasks.training.training_set import load_examples, plan_training

    with redirect_stdout(sys.stderr):
        plan = plan_training(rows, settings.recipe(), data.places)
        return load_examples(plan.learning, plan, splits_of(rows, data.classes, data.places), data.places).examples


def learn(learner: "keras.Model", batches: "tf.data.Dataset", steps: int) -> Elapsed:
    """What so many training steps take, by `fit` itself."""
    import keras

    class Stopwatch(keras.callbacks.Callback):
        began = spent = Elapsed(0, 0)

        def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
            if batch == SKIPPED:
                self.began = Elapsed.now()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # the loss is known: all is computed
            self.spent = Elapsed.now() - self.began

    watch = Stopwatch()
    learner.fit(x=batches, steps_per_epoch=SKIPPED + steps, epochs=1, callbacks=[watch], shuffle=False, verbose=0)
    return watch.spent


def alone(pipeline: "tf.data.Dataset", steps: int, mean: float) -> Elapsed:
    """Seconds an image of the pipeline without a network, once it is full."""
    some = iter(pipeline)
    next(some)
    began = Elapsed.now()
    for _ in islice(some, steps):
        pass
    return Elapsed(*(total / (steps * mean) for total in Elapsed.now() - began))


if __name__ == "__main__":
    main()
