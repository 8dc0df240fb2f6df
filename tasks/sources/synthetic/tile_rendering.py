"""Tile rendering: take photographs of a drawn tile under one of several lamps."""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from tasks.sources.synthetic.rendering import Photograph
from tasks.sources.synthetic.surface import Field, noise
from tasks.sources.synthetic.tile_surface import Shape, Tile


class Lamp(NamedTuple):
    """A lamp, and how the camera is set under it."""

    name: str
    level: float
    """Light on the middle of a tile."""
    angle: float
    """Direction from which the light comes, in turns from the right, clockwise."""
    fall: float
    """Share of the light that is lost from the middle to the far edge."""
    spot: float
    """Share of the light that a bright spot adds in its middle, on the side of the lamp."""
    mirror: float
    """Gain of the gloss."""
    gamma: float
    """Of the camera: below 1 lifts what is dark."""
    noise: float
    """Deviation of the noise in gray levels."""
    quality: int
    """Of the JPEG, 1 to 95."""


LAMPS = (
    Lamp("exp1", level=0.60, angle=0.52, fall=0.25, spot=0.05, mirror=0.7, gamma=1.05, noise=1.5, quality=92),
    Lamp("exp2", level=0.75, angle=0.60, fall=0.15, spot=0.15, mirror=0.9, gamma=1.00, noise=1.8, quality=92),
    Lamp("exp3", level=0.90, angle=0.27, fall=0.15, spot=0.25, mirror=1.0, gamma=0.95, noise=2.0, quality=90),
    Lamp("exp4", level=1.05, angle=0.02, fall=0.20, spot=0.10, mirror=1.2, gamma=1.10, noise=2.0, quality=92),
    Lamp("exp5", level=1.25, angle=0.88, fall=0.20, spot=0.25, mirror=1.4, gamma=1.15, noise=2.2, quality=90),
    Lamp("exp6", level=1.40, angle=0.75, fall=0.15, spot=0.15, mirror=1.5, gamma=0.95, noise=2.5, quality=88),
)
"""The lamps of ordinary photographs."""
NEW_LAMP = Lamp("exp7", level=1.3, angle=0.4, fall=0.6, spot=0.8, mirror=0.4, gamma=0.7, noise=4.0, quality=80)
"""A flat bright lamp close to one corner, with a noisy camera."""
TABLE = 14
"""Gray level of the dark table beside a tile."""


def photograph_tile(tile: Tile, lamp: Lamp, rng: np.random.Generator) -> Photograph:
    """Photograph a tile under `lamp`, cut out along its outline. Light, pose, cut and noise vary each time."""
    lit = shade(tile, lamp, rng)
    layers = np.stack([255 * lit, np.full_like(lit, 255), 255 * tile.defect], axis=-1)
    face, cover, defect = np.moveaxis(warp(np.clip(layers, 0, 255).astype(np.uint8), rng), -1, 0)
    scene = TABLE + (face - np.float32(TABLE)) * (cover / np.float32(255))
    scene = ndimage.gaussian_filter(scene, sigma=rng.uniform(0.3, 0.6))
    scene += lamp.noise * rng.standard_normal(scene.shape, dtype=np.float32)
    return Photograph(pixels=np.clip(scene + 0.5, 0, 255).astype(np.uint8), defect=defect > 60)


def shade(tile: Tile, lamp: Lamp, rng: np.random.Generator) -> Field:
    """Return the picture of the face before the camera's noise, 0 to 1 and above where it is overexposed."""
    angle = 2 * math.pi * (lamp.angle + rng.normal(0, 0.04))
    cos, sin = math.cos(angle), math.sin(angle)
    down, right = np.gradient(tile.height)
    facing = np.clip(1 - 0.5 * (right * cos + down * sin), 0.2, 2)
    scene = tile.albedo * facing + lamp.mirror * tile.gloss
    return (scene * light(tile.shape, lamp, (cos, sin), rng)) ** (lamp.gamma * rng.uniform(0.95, 1.05))


def light(shape: Shape, lamp: Lamp, towards: tuple[float, float], rng: np.random.Generator) -> Field:
    """Return the light on each pixel of the face: it falls off from the lamp, and has a bright spot and soft shadows."""
    down, right = (np.linspace(-1, 1, side, dtype=np.float32) for side in shape)
    near = right * towards[0] + down[:, None] * towards[1]  # 1 at the edge beside the lamp, -1 at the far one
    away = np.hypot(right - 0.7 * towards[0], down[:, None] - 0.7 * towards[1])
    spot = lamp.spot * rng.uniform(0.8, 1.2) * np.exp(-((away / rng.uniform(0.5, 0.6)) ** 2))
    fall = lamp.fall * rng.uniform(0.8, 1.2) * near
    shadows = 0.03 * noise(rng, 150, shape)
    return lamp.level * rng.uniform(0.94, 1.06) * np.clip(1 + fall + spot + shadows, 0.1, None)


def warp(layers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return layers of the tile, uint8 (height, width, 3), as cut out of the photograph: slightly turned, moved and cropped."""
    height, width = np.array(layers.shape[:2])
    down, right = (round(side * rng.uniform(0.97, 1.03)) for side in (height, width))
    turn = math.radians(rng.normal(0, 0.8))
    cos, sin = math.cos(turn), math.sin(turn)
    off = rng.uniform(-3, 3, 2) + (width / 2, height / 2)
    matrix = (cos, -sin, off[0] - cos * right / 2 + sin * down / 2, sin, cos, off[1] - sin * right / 2 - cos * down / 2)
    return np.asarray(
        Image.fromarray(layers).transform((right, down), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    )
