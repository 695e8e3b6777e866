"""HEIC pictures: read with the extra, upright; without it, and damaged, refused with what to do."""

import sys

import numpy as np
import pytest
from PIL import Image

from omrgrade.errors import UnreadableImageError
from omrgrade.images import find_pages, read_scan
from omrgrade.records import Limits, PageRef


def picture():
    """A gradient with a dark corner at the top left."""
    pixels = np.tile(np.linspace(120, 250, 160, dtype=np.uint8), (120, 1))
    pixels[:40, :50] = 20
    return pixels


@pytest.fixture
def heic(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "Foto eins ü.HEIC"
    pillow_heif.from_pillow(Image.fromarray(picture()).convert("RGB")).save(path, quality=95)
    return path


def test_a_phones_picture_is_found_and_read(heic):
    (ref,) = find_pages([heic.parent])
    scan = read_scan(ref)
    assert scan.pixels.shape == (120, 160) and scan.pixels.dtype == np.uint8 and scan.dpi == 0
    assert np.abs(scan.pixels.astype(int) - picture()).mean() < 4


def test_it_is_known_by_its_contents_whatever_it_is_called(heic):
    renamed = heic.with_name("scan.jpg")
    heic.rename(renamed)
    assert read_scan(PageRef(path=str(renamed))).pixels[10, 10] < 60


def test_a_damaged_one_is_refused(heic):
    heic.write_bytes(heic.read_bytes()[:400])
    with pytest.raises(UnreadableImageError, match="HEIC"):
        read_scan(PageRef(path=str(heic)))


def test_a_large_one_is_refused_before_it_is_decoded(heic):
    with pytest.raises(UnreadableImageError, match="too large"):
        read_scan(PageRef(path=str(heic)), Limits(megapixels=0.01))


def test_without_the_extra_it_says_what_to_install(heic, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableImageError, match=r"omrgrade\[heic\]"):
        read_scan(PageRef(path=str(heic)))
