"""Keeps freed memory in the process: a training step asks for the same blocks again at once.

Left to itself, the C library gives every large block back to the system and takes a new one, whose
pages the system must clear (benchmarks/training_step.py --heap default shows what that takes).
"""

import ctypes
import sys

# mallopt's parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER, _STEP = 2**31 - 1, 64 * 2**20


def keep_freed_memory() -> bool:
    """Whether the C library could be told so; only glibc can."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    settings = ((_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _STEP), (_MMAP_MAX, 0))
    return all(mallopt(*setting) for setting in settings)
