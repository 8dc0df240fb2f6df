"""Fixtures: two places in a temporary folder, small photographs, and a Prefect server for those who ask for one."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tasks  # noqa: F401  sets the defaults that Prefect and TensorFlow read when they are imported
from tasks.runs.config import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(data=tmp_path / "data", artifacts=tmp_path / "artifacts")


@pytest.fixture
def photograph() -> Callable[..., bytes]:
    """Makes the bytes of a small grey photograph, another for every seed; `hole` darkens a spot, as a defect does."""

    def make(
        seed: int = 0, *, size: tuple[int, int] = (48, 48), form: str = "JPEG", mode: str = "L", hole: bool = False
    ) -> bytes:
        generator = np.random.default_rng(seed)
        grey = generator.normal(140, 30, (size[1] // 4, size[0] // 4)).clip(0, 255).astype(np.uint8)
        picture = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC)).copy()
        if hole:
            y, x = (int(generator.integers(length // 4, length // 2)) for length in (size[1], size[0]))
            picture[y : y + size[1] // 4, x : x + size[0] // 4] = 10
        file = io.BytesIO()
        Image.fromarray(picture).convert(mode).save(file, format=form, **({"quality": 90} if form == "JPEG" else {}))
        return file.getvalue()

    return make


@pytest.fixture
def dataset(tmp_path: Path, photograph: Callable[..., bytes]) -> Callable[..., Path]:
    """Writes a folder of photographs, `{"train": 12, "test": 6}` of each class, or without splits `{"": 12}`; holes are defects."""

    def write(
        counts: dict[str, int],
        *,
        defect: str = "def_front",
        good: str = "ok_front",
        suffix: str = ".jpeg",
        first_seed: int = 0,
        name: str = "castings",
        **drawn: object,
    ) -> Path:
        seed = first_seed
        for split, count in counts.items():
            for label in (defect, good):
                folder = tmp_path / name / split / label
                folder.mkdir(parents=True, exist_ok=True)
                for number in range(count):
                    form = "PNG" if suffix == ".png" else "JPEG"
                    (folder / f"cast_{number}{suffix}").write_bytes(
                        photograph(seed, form=form, hole=label == defect, **drawn)
                    )
                    seed += 1
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real server on a new database, one for the whole run; starting it takes some 12 s, so nobody gets it unasked."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=180),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_TO_API_ENABLED: False}),
    ):
        yield


def real(variable: str) -> Path:
    """The real data that the variable names; the test skips without it."""
    if not os.environ.get(variable):
        pytest.skip(f"{variable} names no real data")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def real_archive() -> Path:
    return real("RECAST_ARCHIVE")


@pytest.fixture(scope="session")
def real_arrivals() -> Path:
    return real("RECAST_ARRIVALS")
