"""Spares programs the garbage collector where it can find nothing.

Some hundred thousand objects come with torch, transformers, PEFT and lm-eval, and stay to the end.
Left to itself, the collector looks through them again and again while they are imported, and once
more at the end: a fifth of the time of a step that does little else.
"""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Nothing is collected meanwhile. For imports alone: a step's work does make cycles to free."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def end_uncollected() -> None:
    """The process ends without a last collection, as the system takes all its memory anyway."""
    atexit.register(gc.freeze)
