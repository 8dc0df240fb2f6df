"""Rendering: take photographs of 300 x 300 pixels of a drawn casting with a camera set-up."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from tasks.sources.synthetic.cameras import Camera
from tasks.sources.synthetic.surface import CANVAS, RIM, Field, Surface, grid

SIDE = 300
"""Side of a photograph in pixels, as published."""


@dataclass(frozen=True)
class Photograph:
    """A picture, uint8 (300, 300), gray 0 to 255, and the mask of its defect, bool (300, 300)."""

    pixels: np.ndarray
    defect: np.ndarray


def photograph(surface: Surface, camera: Camera, rng: np.random.Generator) -> Photograph:
    """Photograph a casting at a random angle under `camera`. Light, pose, lens and noise vary each time."""
    spin = rng.uniform()
    light = camera.light + rng.normal(0, 0.03)
    lit, cover = shade(surface, camera, light - spin)
    layers = np.stack([np.clip(lit, 0, 255), 255 * cover, 255 * surface.defect], axis=-1).astype(np.uint8)
    metal, cover, defect = np.moveaxis(warp(layers, projection(camera, spin, rng)), -1, 0)
    cover = cover / np.float32(255)
    scene = table(camera, cover, light, rng) * (1 - cover) + metal * cover
    scene = ndimage.gaussian_filter(scene, sigma=camera.blur * rng.uniform(0.8, 1.3))
    scene *= rng.uniform(0.93, 1.07)
    scene += camera.noise * rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    return Photograph(pixels=np.clip(scene + 0.5, 0, 255).astype(np.uint8), defect=defect > 100)


def projection(camera: Camera, spin: float, rng: np.random.Generator) -> np.ndarray:
    """Return the map from homogeneous pixels of the photograph to pixels of the drawing, float64 (3, 3), for a pinhole camera."""
    lean = math.radians(camera.tilt) * math.sqrt(rng.uniform())
    axis = rng.uniform(0, 2 * math.pi)
    pose = rotation(0, 1, axis) @ rotation(1, 2, lean) @ rotation(0, 1, 2 * math.pi * spin - axis)
    distance = rng.uniform(5, 8)  # radii of the casting
    pose[:, 2] = [0, 0, distance]
    focal = camera.rim * rng.uniform(0.95, 1.05) * distance
    middle = SIDE / 2 + rng.uniform(-6, 6, 2)
    lens = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    drawing = np.array([[RIM, 0, CANVAS / 2], [0, RIM, CANVAS / 2], [0, 0, 1]])
    return drawing @ np.linalg.inv(lens @ pose)


def rotation(first: int, second: int, angle: float) -> np.ndarray:
    """Return a matrix that turns the first axis towards the second by `angle` radians, float64 (3, 3)."""
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = math.cos(angle)
    matrix[[first, second], [second, first]] = -math.sin(angle), math.sin(angle)
    return matrix


def warp(layers: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Return layers of the drawing, uint8 (CANVAS, CANVAS, 3), as the camera sees them: uint8 (300, 300, 3)."""
    coefficients = (view / view[2, 2]).ravel()[:8].tolist()
    return np.asarray(
        Image.fromarray(layers).transform(
            (SIDE, SIDE), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
        )
    )


def shade(surface: Surface, camera: Camera, light: float) -> tuple[Field, Field]:
    """Return the gray levels of the casting, lit from `light` (in turns of the drawing), and how much of the table it hides, 0 to 1."""
    cos, sin = math.cos(2 * math.pi * light), math.sin(2 * math.pi * light)
    right, down = surface.slopes
    radius = grid().radius
    towards = grid().cos * cos + grid().sin * sin  # 1 on the side of the lamp, -1 on the far one
    facing = 1 - 0.45 * (right * cos + down * sin)
    glare = 1 + surface.polish * sectors(camera, light)
    ring, bore = surface.outline.ring, surface.outline.bore
    groove = edge(ring - radius - 0.028 * towards) * edge(radius - ring)  # lies in the shadow of the ring
    wall = edge(radius - 0.05 * towards - bore) * edge(bore - radius)  # of the bore, where it faces the camera
    lit = camera.metal * surface.albedo * glare * facing * (1 - 0.6 * groove) * (1 - 0.6 * wall)
    return lit, np.maximum(surface.cover, wall)


def edge(inside: Field) -> Field:
    """Return 1 where a distance (as a share of the rim) is positive and 0 where it is negative, smooth over a pixel."""
    return np.clip(inside * RIM + 0.5, 0, 1)


def sectors(camera: Camera, light: float) -> Field:
    """Return the gain of cut metal by angle. It glares across its grooves, and so in sectors, as a record does."""
    turns = np.arange(1024) / 1024
    gain = np.zeros(1024, dtype=np.float32)
    for lobe in camera.lobes:
        away = np.abs((turns - light - lobe.turn + 0.5) % 1 - 0.5)
        gain += lobe.gain / (1 + np.exp((away - lobe.width) / 0.015))  # fades over some 0.03 of a turn
    return gain[(grid().turn * 1024).astype(np.int16) % 1024]


def table(camera: Camera, cover: np.ndarray, light: float, rng: np.random.Generator) -> np.ndarray:
    """Return the gray levels of the background, float32 (300, 300): uneven light, and the shadow of a casting with this cover."""
    down, right = -math.sin(2 * math.pi * light), -math.cos(2 * math.pi * light)  # where shadows fall
    # all of this is smooth, so half the size is enough
    half = Image.fromarray((255 * cover).astype(np.uint8)).reduce(2)
    near = move(half.filter(ImageFilter.GaussianBlur(1.5)), 2 * right, 2 * down)
    far = move(half.filter(ImageFilter.GaussianBlur(6)), 4 * right, 4 * down)
    slope = np.linspace(-0.1, 0.1, SIDE // 2, dtype=np.float32)
    falling = 1 + rng.normal(0, 0.02) - slope * right - slope[:, None] * down
    scene = camera.table * falling * (1 - 0.6 * near) * (1 - 0.5 * far)
    return np.asarray(Image.fromarray(scene).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def move(image: Image.Image, right: float, down: float) -> np.ndarray:
    """Move a gray picture by pixels, and return it as 0 to 1. The free edge is 0."""
    shift = (1, 0, -right, 0, 1, -down)
    return np.asarray(
        image.transform(image.size, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR)
    ) / np.float32(255)
