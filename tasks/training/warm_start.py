"""Starting: where a training's first weights come from, and which images it then sees."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tasks.inference import decision, model_folder
from tasks.records.rows import Content, Row
from tasks.settings.errors import BadInput
from tasks.settings.settings import ChampionModel, Places, Recipe
from tasks.storage.tables import read_table
from tasks.tracking import registry

FEWEST_OLD = 1_000  # images that are learnt again beside few new ones: enough castings that none is forgotten


def in_use(places: Places) -> ChampionModel | None:
    """The model in use, as training may continue from it; None where there is none, or its folder is gone."""
    version = registry.champion(places)
    if version is None:
        return None
    try:
        told = decision.read(model_folder.ensure_local(version, places) / "decision.json")
    except BadInput:
        return None
    return ChampionModel(digest=version.model, model=told.model, image_size=told.image_size)


class WarmStart(NamedTuple):
    """The model that a training continues from."""

    digest: str
    """Of its folder."""
    network: Path
    learnt: frozenset[str]
    """sha256 of the images that its weights were learnt from, in its own training and in those before it."""


def choose_start(rows: Sequence[Row], recipe: Recipe, places: Places) -> WarmStart | str:
    """What the recipe continues from, or in words why it starts from new weights."""
    if recipe.start_from == "scratch":
        return "it was not asked to continue"
    if (champion := recipe.champion) is None:
        return "no model is in use"
    if (champion.model, champion.image_size) != (recipe.model, recipe.image_size):
        return f"the model in use is {champion.model} of {champion.image_size} pixels"
    there = model_folder.path(champion.digest, places)
    if not (there / "images.csv").is_file():
        return "the model in use does not tell which images it was trained on"
    if what := model_folder.difference(there):
        return what
    learnt = frozenset(content.sha256 for content in read_table(there / "images.csv", Content))
    if seen := sum(row.split != "train" and row.sha256 in learnt for row in rows):
        return f"the model in use was trained on {seen:,} images that now validate, test or are held back"
    if not has_equal_shapes(there / "model.keras", recipe):
        return f"the network {recipe.model} is another one since the model in use was trained"
    return WarmStart(champion.digest, there / "model.keras", learnt)


def has_equal_shapes(network: Path, recipe: Recipe) -> bool:
    """Whether the weights in the file are of the shapes that the network of the recipe has now."""
    from tasks.networks import networks  # late: TensorFlow is not needed to say that there is no champion

    there, here = (one.weights for one in (networks.load(network), networks.build(recipe.model, recipe.image_size)))
    return [tuple(one.shape) for one in there] == [tuple(one.shape) for one in here]


def with_replay(learning: Sequence[Row], learnt: frozenset[str], seed: int) -> list[Row]:
    """What a training that continues sees: all new images, and as many old ones but at least 1,000, of each origin in turn.

    Which ones the seed draws. Were they drawn from all alike, a camera of few photographs would be forgotten for the next one.
    """
    new = [row for row in learning if row.sha256 not in learnt]
    old = [row for row in learning if row.sha256 in learnt]
    old.sort(key=lambda row: hashlib.sha256(f"{seed} {row.sha256}".encode()).digest())
    turns: defaultdict[str, count[int]] = defaultdict(count)
    in_turn = sorted([(next(turns[row.origin]), place) for place, row in enumerate(old)])
    return new + [old[place] for _, place in in_turn[: max(FEWEST_OLD, len(new))]]
