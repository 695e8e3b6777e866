"""Digits as other schools teach them: a 1 with flag and foot, a crossed 7, an open 4, a straight 9.

MNIST was written in the United States, and has few of these. They are drawn with pens of our own.
"""

from __future__ import annotations

import numpy as np

from omrgrade.training.augment import on_paper, renormalised
from omrgrade.training.data import Labelled
from omrgrade.training.glyphs import parse
from omrgrade.training.not_digits import glyph

SHAPES = """
1 15,30 50,0 50,100
1 5,52 55,0 52,100
1 22,28 52,0 52,98|22,98 82,98
1 50,0 50,98|20,98 80,98
1 ~30,22 46,10 54,0|54,0 50,98|~18,97 50,98 85,95
1 32,18 55,0 46,98|15,98 80,96
2 ~12,22 45,0 85,22 60,60 10,98|10,98 92,98
2 ~15,25 45,0 80,20 60,55 12,92 25,80 45,92 95,95
2 12,12 45,2 80,18 72,45 12,98 90,98
3 10,3 85,3 45,42|~45,42 88,55 80,90 40,100 8,85
3 ~12,15 45,0 80,18 45,45 82,68 50,100 8,85
4 20,0 15,58 90,58|68,12 64,100
4 ~22,0 12,55 55,58 92,52|~72,15 66,60 62,100
4 65,100 65,0 8,65 95,65
4 60,100 72,0 8,62 95,60
5 ~22,4 18,42 55,36 88,62 60,98 10,90|22,4 85,2
5 85,3 25,3 20,42|~20,42 60,35 88,65 55,98 10,88
6 ~75,2 35,35 15,70 40,98 78,85 72,58 40,55 18,72
6 ~62,0 30,40 20,80 50,100 75,75 50,58 22,75
7 8,4 90,4 40,100|28,50 78,50
7 10,18 10,4 90,4 40,100
7 ~8,10 40,2 90,6 55,55 38,100|~25,52 50,47 75,50
8 ~50,50 20,30 50,2 80,28 50,50 15,75 50,98 85,75 50,50
8 ~80,12 45,2 22,25 50,48 82,75 50,100 18,75 50,48 78,22 80,12
9 ~82,30 55,5 20,20 22,48 55,55 82,30|82,22 82,100
9 ~80,28 50,2 18,28 45,55 78,35 80,25 78,65 55,100
9 ~82,28 52,3 20,25 45,52 80,30|~82,20 80,70 45,98 15,85
0 ~50,0 15,30 15,72 50,100 85,70 82,28 50,0
0 ~60,2 20,25 18,75 55,98 85,65 78,20 48,3
"""

_DIGITS = [(int(line[0]), parse(line[2:])) for line in SHAPES.strip().splitlines()]


def styles(digits: Labelled, count: int, rng: np.random.Generator) -> Labelled:
    """A source: `count` of these digits, each shaken, deformed, and seen through paper."""
    picks = rng.integers(len(_DIGITS), size=count)
    images = [renormalised(on_paper(glyph(_DIGITS[n][1], rng), rng), rng) for n in picks]
    labels = np.array([_DIGITS[n][0] for n in picks], digits.labels.dtype)
    return Labelled(images=np.stack(images) if images else np.empty((0, 28, 28), np.uint8), labels=labels)
