"""How well does each network tell defective from good parts of any kind, beside simple baselines?

python benchmarks/any_part.py --source tiles.zip --good MT_Free --parts tiles-parts.csv --models patch,compact --json tiles.json
python benchmarks/any_part.py --source kolektor.zip --folds 5 --json kolektor.json

Without `--folds` each seed draws other parts to test, as a run with `--splitting.protocol grouped` does. With `--folds K` each image
is judged once a seed, by a network that never saw its part. Networks and baselines learn from the same images and judge the same ones:
those that validate a network train the baselines, so that nothing a network may look at is kept from them.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

import numpy as np

from benchmarks.fitted_baselines import BASELINES
from benchmarks.folds import accuracy
from benchmarks.paired_bootstrap import compare_aucs, known_auc
from benchmarks.picture_features import FEATURES, measure_features
from benchmarks.preparation import (
    PreparedImages,
    make_parser,
    prepare_images,
    split_names,
    working_places,
    write_figures,
)
from benchmarks.seed_tests import JudgedSeed, SeedTest, add_counts, draw_test, judge_by_baseline, judge_by_network
from tasks.settings.model_specs import ModelName
from tasks.settings.settings import ClassSettings, EvaluationSettings, TrainingSettings


def main() -> None:
    """Judge the source by each method and seed, write the figures after each seed, and print the table."""
    options = parse_options()
    with working_places(options.data) as places:
        data = prepare_images(options.source, (), places, classes=options.classes, parts=options.parts)
        features = {name: measure_features(name, data.rows, places) for name in FEATURES}
        tests: list[SeedTest] = []
        judged: dict[str, list[JudgedSeed]] = {name: [] for name in (*options.models, *BASELINES)}
        for seed in range(options.seeds):
            tests.append(draw_test(data, options.folds, seed))
            for name, seeds in judged.items():
                if name in BASELINES:
                    seeds.append(judge_by_baseline(data, tests[-1], features, name, seed))
                else:
                    settings = {"model": name, "epochs": options.epochs, "image_size": options.image_size, "seed": seed}
                    training = TrainingSettings.model_validate(settings)
                    seeds.append(judge_by_network(data, tests[-1], training, options.folds))
                value = known_auc(tests[-1].parts.defect, seeds[-1].scores.values)
                print(f"seed {seed}: {name} has an AUC of {value:.3f}", file=sys.stderr, flush=True)
            figures = summarize(data, tests, judged, options.folds)
            write_figures(figures, options.json)  # an interruption loses no finished seed
    print_table(figures)


def parse_options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = make_parser(__doc__.split("\n")[0])
    parser.add_argument("--good", help="folder of good parts; else as it is found")
    parser.add_argument("--defect", help="folders of defective parts, with commas between them; else as they are found")
    parser.add_argument("--parts", help="as --parts of a run: a pattern on the paths, or a CSV `path,part`")
    parser.add_argument("--models", type=split_names, default=["patch", "compact"], help='"" for the baselines alone')
    parser.add_argument(
        "--image-size", type=int, help="side of the square, or longer side, that networks see; else as the recipe says"
    )
    parser.add_argument("--seeds", type=int, default=5, help="of the splits or folds, of training and of trees")
    parser.add_argument("--folds", type=int, default=0, help="of the cross-fitting; 0: a split as a run draws it")
    options = parser.parse_args()
    options.models = [name for name in options.models if name]
    if unknown := set(options.models) - set(get_args(ModelName)):
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose of {', '.join(get_args(ModelName))}")
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}, at least 1 is needed")
    options.classes = ClassSettings.model_validate({"good": options.good, "defect": options.defect})
    return options


def summarize(
    data: PreparedImages, tests: Sequence[SeedTest], judged: Mapping[str, Sequence[JudgedSeed]], folds: int
) -> dict:
    """Return the figures of each method over the seeds, and how the first network compares with each other method."""
    methods = {name: summarize_method(tests, seeds) for name, seeds in judged.items()}
    scores = {name: [seed.scores.values for seed in seeds] for name, seeds in judged.items()}
    first, *others = judged
    return {
        "images": len(data.rows),
        "parts": len({row.group for row in data.rows}) if data.parts_by else None,
        "parts_by": data.parts_by,
        "folds": folds,
        "tested_images": [int(test.judged.sum()) for test in tests],
        "methods": methods,
        "best_baseline": max(BASELINES, key=lambda name: methods[name]["auc"]),
        "comparisons": {
            other: {"network": first}
            | compare_aucs([test.parts for test in tests], scores[first], scores[other], EvaluationSettings())
            for other in (others if first not in BASELINES else [])
        },
    }


def summarize_method(tests: Sequence[SeedTest], seeds: Sequence[JudgedSeed]) -> dict:
    """Return means and ranges over the seeds, the values of each seed, and the peaks of all seeds together."""
    judged = [(test.parts.defect, seed.scores.values) for test, seed in zip(tests, seeds, strict=True)]
    columns = {
        "auc": [known_auc(defect, values) for defect, values in judged],
        "accuracy": [accuracy(defect, values) for defect, values in judged],
        "cpu_seconds": [seed.scores.cpu_seconds for seed in seeds],
    }
    peaks = add_counts([seed.peaks for seed in seeds if seed.peaks]) if any(seed.peaks for seed in seeds) else None
    return {
        **{name: float(np.mean(values)) for name, values in columns.items()},
        **{f"{name}_range": [min(columns[name]), max(columns[name])] for name in ("auc", "accuracy")},
        "seeds": [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)],
        "peaks": peaks,
        "share_of_peaks_on_the_mask": peaks["on_the_mask"] / peaks["detected"] if peaks and peaks["detected"] else None,
    }


def print_table(figures: dict) -> None:
    """Print a row for each method, what is shown of the first network, and where the heat maps peak."""
    parts = f"{figures['parts']:,} parts, told by {figures['parts_by']}" if figures["parts"] else "unknown parts"
    design = f"{figures['folds']} folds" if figures["folds"] else "a split by part"
    print(f"\n{figures['images']:,} images of {parts}; {design}, {len(figures['tested_images'])} seeds")
    print(f"{'':<20}{'AUC':>7}{'range':>16}{'accuracy':>11}{'range':>16}{'CPU, s':>9}")
    for name, method in figures["methods"].items():
        print(
            f"{name:<20}{method['auc']:>7.3f}{format_range(method['auc_range']):>16}"
            f"{method['accuracy']:>11.3f}{format_range(method['accuracy_range']):>16}{method['cpu_seconds']:>9.1f}"
        )
    for other, pair in figures["comparisons"].items():
        best = ", the best baseline" if other == figures["best_baseline"] else ""
        interval = "no draw differs" if pair["interval"] is None else format_range(pair["interval"], "+.3f")
        print(
            f"AUC of {pair['network']} less that of {other}{best}: {pair['difference']:+.3f} ({interval}, over "
            f"{pair['parts']:,} {'parts' if figures['parts'] else 'images'}): {'shown' if pair['shown'] else 'not shown'} to be better"
        )
    for name, method in figures["methods"].items():
        if (peaks := method["peaks"]) and peaks["detected"]:
            print(
                f"{name}: the heat map peaks on the mask for {method['share_of_peaks_on_the_mask']:.1%} of {peaks['detected']:,} "
                f"detected defects, of {peaks['masked']:,} that have one"
            )


def format_range(ends: Sequence[float], form: str = ".3f") -> str:
    """Return both ends of a range."""
    return f"{ends[0]:{form}} to {ends[1]:{form}}"


if __name__ == "__main__":
    main()
