"""Memory that a page needed, kept for the next one."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>
_LARGE = 32 << 20
"""Bytes, the most that glibc takes: pages of up to 32 million grey pixels; twice that is kept in all."""


def keep_freed_memory() -> bool:
    """Ask the C library not to give every page's pixels back to the system; whether it can.

    A decoded page is 9 MB. Given back and asked for again, its 2,000 memory pages are cleared and mapped anew
    each time, which takes a third of the time that decoding does.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library than glibc
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE) and mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE))
