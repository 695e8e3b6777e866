"""Digits as other schools teach them: a 1 with flag and foot, a crossed 7, an open 4, a straight 9,
and as South Asian hands write them: a 3 and a 5 that end in a curl, a 4 like a y, a 9 with a hook.

MNIST was written in the United States, and has few of these. They are drawn with pens of our own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omrgrade.training.augment import on_paper, renormalised, with_marker
from omrgrade.training.data import Labelled
from omrgrade.training.glyphs import Glyph, parse
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
9 ~55,28 70,15 45,2 20,20 35,42 65,35 75,15 70,60 50,95 15,92
9 ~70,30 50,12 30,25 45,42 75,28 55,3 20,10|72,25 68,70 45,98 12,92
4 ~40,0 12,52 88,48|62,25 58,100
4 ~55,0 15,48 85,45 55,70 45,100
1 8,38 58,8 52,100
9 ~82,28 52,3 20,25 45,52 80,30|~82,20 80,70 45,98 15,85
3 ~10,10 50,0 72,22 38,45 82,62 62,96 28,95 30,76 62,80
3 ~18,14 55,2 74,20 40,44 78,70 45,98 15,86 35,72 60,82
4 ~18,2 10,42 34,58 74,40|~80,4 74,50 62,100
4 ~24,0 8,38 26,58 68,38 82,4|~82,4 72,60 58,100
4 12,4 10,50 70,50|78,0 70,100
4 ~20,5 22,52 78,44|~74,18 76,60 70,100
5 ~26,6 20,40|~20,40 58,32 84,62 58,97 26,92 30,74 62,78|26,6 88,2
5 ~80,4 30,8 24,38 60,36 84,62 58,97 24,90 36,74 60,80
5 22,14 20,44|~20,44 62,36 80,66 44,98 10,80|18,10 88,6
9 ~72,14 44,2 18,22 30,44 66,36 76,14|~76,14 84,60 60,98 20,90
9 ~70,12 40,4 22,24 42,42 70,30|~72,10 66,60 54,100
9 ~64,8 30,6 20,28 48,40 74,26 72,10|~72,10 86,50 70,92 30,98 12,82
7 ~8,16 20,4 50,8 86,2 58,50 46,100|34,52 82,46
7 6,12 40,6 82,2 50,98|22,54 96,48
2 ~14,20 40,2 68,16 54,56 14,94|14,94 60,90 108,86
6 ~58,2 26,40 18,78 46,98 72,78 54,58 22,74
0 ~50,0 15,30 15,72 50,100 85,70 82,28 50,0
0 ~60,2 20,25 18,75 55,98 85,65 78,20 48,3
"""

_DIGITS = [(int(line[0]), parse(line[2:])) for line in SHAPES.strip().splitlines()]


def styles(digits: Labelled, count: int, rng: np.random.Generator) -> Labelled:
    """A source: `count` of these digits, each shaken, deformed, and seen through paper."""
    picks = rng.integers(len(_DIGITS), size=count)
    images = [renormalised(on_paper(_drawn(_DIGITS[n][1], rng), rng), rng) for n in picks]
    labels = np.array([_DIGITS[n][0] for n in picks], digits.labels.dtype)
    return Labelled(images=np.stack(images) if images else np.empty((0, 28, 28), np.uint8), labels=labels)


def _drawn(shape: Glyph, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One of them, now and then by a felt pen: (84, 84) uint8."""
    canvas = glyph(shape, rng)
    return with_marker(canvas, rng) if rng.random() < 0.3 else canvas
