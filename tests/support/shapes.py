"""Pictures of coloured shapes: classes whose names say how they look, such as ``red circle``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {
    "red": (215, 40, 40),
    "green": (40, 160, 70),
    "blue": (45, 80, 210),
    "yellow": (235, 205, 45),
    "purple": (140, 60, 170),
    "black": (25, 25, 25),
}
SHAPES = ("circle", "square", "triangle", "star", "cross")


def names() -> list[str]:
    """All classes: 6 colours of 5 shapes."""
    return [f"{colour}_{shape}" for colour in COLOURS for shape in SHAPES]


def pictures(folder: Path, classes: Sequence[str], count: int, *, seed: int = 0, side: int = 96) -> None:
    """`count` pictures a class, one folder a class: the shape at some place, size and turn, on a noisy ground."""
    for name in classes:
        rng = np.random.default_rng([seed, sum(map(ord, name)), len(name)])
        colour, shape = name.split("_")
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            ground = rng.normal(rng.uniform(150, 235, 3), 12, (side, side, 3)).clip(0, 255)
            image = Image.fromarray(ground.astype(np.uint8))
            paint = tuple(int(v) for v in np.clip(np.add(COLOURS[colour], rng.normal(0, 14, 3)), 0, 255))
            radius = rng.uniform(0.25, 0.38) * side
            x, y = rng.uniform(0.42, 0.58, 2) * side
            _draw(ImageDraw.Draw(image), shape, paint, (x, y), radius, rng.uniform(0, 2 * math.pi))
            image.save(folder / name / f"{index:03}.png")


def _draw(
    draw: ImageDraw.ImageDraw,
    shape: str,
    paint: tuple[int, ...],
    centre: tuple[float, float],
    radius: float,
    turn: float,
) -> None:
    def around(radii: Sequence[float]) -> list[tuple[float, float]]:
        step = 2 * math.pi / len(radii)
        return [
            (centre[0] + r * math.cos(turn + i * step), centre[1] + r * math.sin(turn + i * step))
            for i, r in enumerate(radii)
        ]

    if shape == "circle":
        draw.ellipse([c + s * radius for s in (-1, 1) for c in centre], fill=paint)
    elif shape == "cross":
        for corner in (0, 1):
            ends = around([radius] * 4)[corner::2]
            draw.line(ends, fill=paint, width=max(2, int(radius / 2.5)))
    else:
        radii = {"square": [radius] * 4, "triangle": [radius] * 3, "star": [radius, radius * 0.42] * 5}[shape]
        draw.polygon(around(radii), fill=paint)
