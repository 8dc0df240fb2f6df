"""Cameras: the set-ups that photograph castings. They differ as those of a factory do over the years."""

from typing import NamedTuple


class Lobe(NamedTuple):
    """A sector in which cut metal glares or looks dull."""

    turn: float
    """Its middle, in turns from the light."""
    width: float
    """Half of the width, in turns."""
    gain: float
    """Added to a brightness of 1; negative where metal is dull."""


class Camera(NamedTuple):
    """A set-up: the place of the light, the table under the casting, and the effects of the lens and the chip."""

    name: str
    light: float
    """Direction from which the light comes, in turns from the right, clockwise."""
    lobes: tuple[Lobe, ...]
    table: float
    """Gray level of the background, 0 to 255."""
    metal: float
    """Gray level of a surface that returns all light."""
    rim: float
    """Radius of a casting in pixels of the photograph."""
    tilt: float
    """Largest tilt of the camera to any side, in degrees."""
    blur: float
    """Deviation of the blur in pixels."""
    noise: float
    """Deviation of the noise in gray levels."""
    quality: int
    """Of the JPEG, 1 to 95."""


CAMERAS = (
    Camera(
        name="lamp_left",
        light=0.55,
        lobes=(Lobe(0.0, 0.11, 0.12), Lobe(0.29, 0.1, -0.34), Lobe(0.52, 0.06, 0.16)),
        table=150,
        metal=240,
        rim=121,
        tilt=26,
        blur=0.55,
        noise=1.6,
        quality=82,
    ),
    Camera(
        name="lamp_right",
        light=0.93,
        lobes=(Lobe(0.05, 0.07, 0.18), Lobe(0.38, 0.12, -0.32), Lobe(0.75, 0.05, 0.18)),
        table=132,
        metal=228,
        rim=116,
        tilt=20,
        blur=0.7,
        noise=2.2,
        quality=80,
    ),
    Camera(
        name="window",
        light=0.72,
        lobes=(Lobe(0.0, 0.16, 0.1), Lobe(0.5, 0.13, -0.28)),
        table=166,
        metal=248,
        rim=125,
        tilt=30,
        blur=0.6,
        noise=1.8,
        quality=78,
    ),
    Camera(
        name="ceiling",
        light=0.3,
        lobes=(Lobe(0.1, 0.05, 0.16), Lobe(0.35, 0.05, 0.16), Lobe(0.64, 0.15, -0.26)),
        table=118,
        metal=222,
        rim=119,
        tilt=14,
        blur=0.8,
        noise=2.5,
        quality=75,
    ),
)
"""The set-ups of ordinary photographs."""
NEW_CAMERA = Camera(
    name="new_camera",
    light=0.48,
    lobes=(Lobe(0.02, 0.04, 0.55), Lobe(0.24, 0.07, -0.3), Lobe(0.55, 0.05, 0.45)),
    table=232,
    metal=165,
    rim=132,
    tilt=34,
    blur=0.45,
    noise=2.0,
    quality=85,
)
"""Bright paper, nearer and more oblique, duller metal with narrow glare."""
