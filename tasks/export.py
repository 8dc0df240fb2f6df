"""Export: the model's folder, `artifacts/models/<digest>/`, complete before it can be seen and never changed after."""

import shutil
from pathlib import Path

from prefect import task

from tasks.runs.caching import same_step
from tasks.runs.config import Places
from tasks.runs.files import File, digest_of, publish, scratch_beside
from tasks.runs.records import Evaluation, Exports, Model


@task(cache_policy=same_step)
def export(model: Model, evaluation: Evaluation, places: Places) -> Exports:
    """The folder with the network, its decision and the list of images it was learnt from, named by a digest over them."""
    parts = {"decision.json": evaluation.decision, "model.keras": model.file}
    if model.learnt:
        parts["images.csv"] = model.learnt
    digest = digest_of({name: file.sha256 for name, file in parts.items()})
    contents = tuple(
        File(place="artifacts", name=f"models/{digest}/{name}", sha256=file.sha256)
        for name, file in sorted(parts.items())
    )
    target = places.artifacts.absolute() / "models" / digest
    if any(file.damage(places) for file in contents):
        assemble({name: file.path(places) for name, file in parts.items()}, target)
    print(f"export: model {digest[:12]}")
    return Exports(digest=digest, contents=contents)


def assemble(parts: dict[str, Path], target: Path) -> None:
    """Copies the files into a new folder and gives it its name; one that was damaged makes way."""
    with scratch_beside(target) as scratch:
        scratch.mkdir()
        for name, path in parts.items():
            shutil.copyfile(path, scratch / name)
        if target.exists():
            shutil.rmtree(target)
        publish(scratch, target)
