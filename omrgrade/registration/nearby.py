"""Where marks are if the page fills the picture, as scanned ones do: there they are found sooner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omrgrade.records import Scan, Template
from omrgrade.registration.geometry import Array

Grey = NDArray[np.uint8]

_SHAPE = 0.3  # how far (log) a picture's width over height may be from the page's that fills it
_REACH = 0.09  # of a picture's longer side, by which marks are off if the page nearly fills it
_SAME_SIZE = 1.3  # ratio by which they may be larger or smaller then


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Near:
    """Where alone blobs are sought, for a first look."""

    places: Array  # (n, 2) scan px
    reach: float  # scan px from a place, across and down
    sizes: tuple[float, float]  # scan px, the square root of their hulls' areas

    def only(self, mask: Grey, factor: int) -> Grey:
        """A mask of a copy that is `factor` times smaller, 0 elsewhere."""
        kept = np.zeros_like(mask)
        for x, y in self.places:
            rows, columns = (
                slice(max(int((v - self.reach) / factor), 0), max(int((v + self.reach) / factor), 0))
                for v in (y, x)
            )
            kept[rows, columns] = mask[rows, columns]
        return kept


def if_whole(scan: Scan, template: Template, size: float) -> Near:
    """Where marks are if the page fills the picture, in all turns that its shape allows.

    size: the square root of a mark's area, mm.
    """
    width, height = template.page_width, template.page_height
    picture = np.array(scan.pixels.shape[::-1], np.float64)
    layout = np.array([box.centre for box in template.fiducials.boxes]) - (width / 2, height / 2)
    scale = float(np.sqrt(picture.prod() / (width * height)))
    shape = np.log([width / height, height / width]) - np.log(picture[0] / picture[1])
    turned = [layout, -layout, layout[:, ::-1] * (-1, 1), layout[:, ::-1] * (1, -1)]
    alike = [turned[n] for n in range(4) if abs(shape[n // 2]) < _SHAPE]
    return Near(
        places=np.concatenate([np.zeros((0, 2)), *alike]) * scale + (picture - 1) / 2,
        reach=_REACH * float(max(picture)),
        sizes=(size * scale / _SAME_SIZE, size * scale * _SAME_SIZE),
    )
