"""Warm start: choose where a training's first weights come from, and which images it then sees."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tasks.inference import decision, model_folder
from tasks.records.rows import Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import ChampionModel, Places, Recipe
from tasks.tracking import registry

FEWEST_OLD = 1_000  # old images that are learned again beside few new ones: enough castings that none is forgotten


def champion_model(places: Places) -> ChampionModel | None:
    """Return the model in use, from which a training may continue; None where there is none, or its folder cannot be used."""
    if (version := registry.champion(places)) is None:
        return None
    try:
        champion = decision.read(model_folder.ensure_local(version, places) / "decision.json")
    except BadInput:
        return None
    return ChampionModel(digest=version.model, model=champion.model, image_size=champion.image_size, crop=champion.crop)


class WarmStart(NamedTuple):
    """The model that a training continues from."""

    digest: str
    """Of the model's folder."""
    network: Path
    learned: frozenset[str]
    """sha256 of each image that its weights were learned from, in its own training and in those before it."""


def choose_start(rows: Sequence[Row], recipe: Recipe, places: Places) -> WarmStart | str:
    """Choose the model that the recipe continues from, or say why the training starts from new weights."""
    if recipe.start_from == "scratch":
        return "it was not asked to continue"
    if (champion := recipe.champion) is None:
        return "no model is in use"
    if difference := champion.difference(recipe):
        return difference
    folder = model_folder.path(champion.digest, places)
    if not (folder / "images.csv").is_file():
        return "the model in use does not tell which images it was trained on"
    if fault := model_folder.difference(folder):
        return fault
    learned = model_folder.training_digests(champion.digest, places)
    if overlap := sum(row.split != "train" and row.sha256 in learned for row in rows):
        return f"the model in use was trained on {overlap:,} images that now validate, test or are held back"
    if not has_equal_shapes(folder / "model.keras", recipe):
        return f"the network {recipe.model} is another one since the model in use was trained"
    return WarmStart(champion.digest, folder / "model.keras", learned)


def has_equal_shapes(network: Path, recipe: Recipe) -> bool:
    """Return whether the weights in the file have the shapes that the network of the recipe has now."""
    from tasks.networks import networks  # late: TensorFlow is not needed to say that there is no champion

    stored, current = networks.load(network), networks.build(recipe.model, recipe.image_size)
    return [tuple(weight.shape) for weight in stored.weights] == [tuple(weight.shape) for weight in current.weights]


def with_replay(train_rows: Sequence[Row], learned: frozenset[str], seed: int) -> list[Row]:
    """Return the images of a training that continues: all new ones and as many old ones, but up to 1,000 old ones in any case.

    The seed draws the old images, from each origin in turn. If each old image were equally likely, a camera of few photographs
    would be forgotten for the next one. `learned` holds the sha256 of each old image.
    """
    new = [row for row in train_rows if row.sha256 not in learned]
    old = [row for row in train_rows if row.sha256 in learned]
    old.sort(key=lambda row: hashlib.sha256(f"{seed} {row.sha256}".encode()).digest())
    turns: defaultdict[str, count[int]] = defaultdict(count)
    in_turn = sorted([(next(turns[row.origin]), place) for place, row in enumerate(old)])
    return new + [old[place] for _, place in in_turn[: max(FEWEST_OLD, len(new))]]
