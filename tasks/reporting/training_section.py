"""Training section: which network was trained and why, for how long, and how small a defect it can see."""

from tasks.images.crops import describe_crop
from tasks.images.views import VIEWS, describe
from tasks.records.results import Model, Splits
from tasks.reporting.markdown import number_of
from tasks.reporting.run_json import RunResult
from tasks.settings.crops import PART
from tasks.settings.escaping import for_markdown
from tasks.settings.frames import PictureSizes, sides, visible_width


def training_section(outcome: RunResult) -> str:
    """Say which network was trained and why, on how many images, for how long and on what device."""
    model = outcome.model
    choice = f" It was chosen because {outcome.chosen_because}." if outcome.chosen_because else ""
    sees = describe(model.view, model.image_size)
    notes = [
        where_it_looks(model, outcome.splits),
        smallest_defect(model, outcome.splits.pictures),
        "Copies of the images with drawn blemishes took the place of defects." if model.spec.good_alone else "",
        f"Its first weights are those of the model `{model.started_from[:16]}`." if model.started_from else "",
        f"{model.left_out:,} training images show no ring and were left out." if model.left_out else "",
        f"It went on after epoch {model.resumed_from_epoch} of an interrupted run, whose time is not counted."
        if model.resumed_from_epoch
        else "",
    ]
    return " ".join([
        f"`{model.name}`, {model.parameters:,} parameters, sees {sees}.{choice}",
        f"{number_of(len(model.history), 'epoch')} over {model.images:,} images took {model.wall_seconds:.0f} s ({model.cpu_seconds:.0f} "
        f"CPU seconds, {model.images_per_second:,.0f} images a second) on {for_markdown(model.conditions)}.",
        *filter(None, notes),
    ])  # fmt: skip


def where_it_looks(model: Model, splits: Splits) -> str:
    """Say where in a photograph the network looks, and how often it had to see the whole; nothing where it always does."""
    sentence = describe_crop(model.crop)
    if model.crop != PART or splits.pictures is None:
        return sentence
    seen_whole = f"{splits.pictures.whole:,} of {splits.by_split['train']:,} training images"
    return f"{sentence} No part was found in {seen_whole}, or it fills nearly all of them: these are seen whole."


def smallest_defect(model: Model, pictures: PictureSizes | None) -> str:
    """Say how wide a defect must be on a photograph so that the network can see it; nothing of a network that sees the ring."""
    if pictures is None or VIEWS[model.view].needs_ring:
        return ""
    width = visible_width(pictures, sides(model.image_size))
    seen = (
        f"{'What it sees of the photographs has' if pictures.crop else 'The photographs have'} "
        f"{pictures.width:,} x {pictures.height:,} pixels (median), so a defect can be lost that is narrower "
        f"than {width:.1f} of them"
    )
    if pictures.defect_width is None:
        has_more = min(pictures.width, pictures.height) > min(sides(model.image_size))
        can_grow = has_more and not model.spec.fixed_size
        return f"{seen}; a larger `--image-size` sees narrower ones." if can_grow else f"{seen}."
    return f"{seen}; nine tenths of the marked defects are wider than {pictures.defect_width:.1f}."
