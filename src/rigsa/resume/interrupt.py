"""Being asked to stop: by Ctrl-C, by `kill`, by a cluster that wants its machine back."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Raised where a signal asks a step to stop; `where` says how far it came."""

    def __init__(self, number: int, where: str = "") -> None:
        super().__init__(number)
        self.signal, self.where = signal.Signals(number), where


def listen() -> None:
    """From now on a signal raises Stopped, so that nothing half-written is left behind."""
    for number in SIGNALS:
        signal.signal(number, _stop)


@contextmanager
def finishing_first() -> Iterator[Callable[[], signal.Signals | None]]:
    """Within it a signal only becomes known to those who ask; a second one is not waited for.

    Yields a function that gives the signal, or None as long as there was none.
    """
    asked: list[signal.Signals] = []

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            _stop(number, frame)
        asked.append(signal.Signals(number))

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
