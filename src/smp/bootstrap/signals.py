"""Being told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

EXIT_TERMINATED: Final = 128 + signal.SIGTERM
"""As a shell calls the end by SIGTERM; ``smp serve``, which is meant to be stopped so, ends with 0."""

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


class Terminated(BaseException):
    """SIGTERM came; not an Exception, so that nothing that handles errors takes it for one."""


def terminate(_signal: int, _frame: FrameType | None) -> None:
    """The handler of SIGTERM: leave by way of every ``finally``. Raises Terminated."""
    raise Terminated


@contextmanager
def stop_deferred() -> Iterator[None]:
    """Let a stop that comes in the block take effect at its end: what is in it is done whole, or fails by itself.

    Handlers are Python's business in the main thread only; in any other the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _STOPS}
    # Not the process's signal mask, which the programs that are started in the block would inherit.
    for number in _STOPS:
        signal.signal(number, lambda stop, _frame: came.append(stop))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])
