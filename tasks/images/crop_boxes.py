"""Crop boxes: where the network looks in stored images. Each content is searched for its part once, and the result is cached."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.images.crops import find_shares
from tasks.images.decoding import WHOLE as UNREDUCED
from tasks.images.loading import load_levels
from tasks.records.rows import Row, images_root, stored_name
from tasks.settings.crops import PART, WHOLE, Crop, Shares, box_shares
from tasks.settings.settings import Places
from tasks.storage.code_version import code_digest
from tasks.storage.parallel import map_chunks_in_threads
from tasks.storage.result_cache import cached_map


def crop_shares(images: Sequence[Row], crop: Crop | None, places: Places) -> list[Shares]:
    """Return where the network looks in each stored image, in order, as shares. Raises BadInput when one cannot be read."""
    if crop != PART:
        return [box_shares(crop) if crop else WHOLE] * len(images)
    root = Path(images_root(places))

    def find(names: Sequence[str]) -> list[bytes]:
        return map_chunks_in_threads(
            lambda chunk: [pack(find_shares(load_levels(root / name, UNREDUCED), crop)) for name in chunk], names
        )

    version = code_digest(Path(__file__))
    return [
        unpack(value) for value in cached_map("outline", version, map(stored_name, images), find, places, block=256)
    ]


def pack(shares: Shares) -> bytes:
    """Return shares as bytes, without loss: a picture and its mask are cut at the same place."""
    return np.array(shares, np.float64).tobytes()


def unpack(value: bytes) -> Shares:
    """Return shares from the bytes that `pack` returned."""
    return Shares(*np.frombuffer(value, np.float64).tolist())
