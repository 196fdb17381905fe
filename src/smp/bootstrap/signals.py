"""Being told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

EXIT_TERMINATED: Final = 128 + signal.SIGTERM
"""As a shell calls the end by SIGTERM; ``smp serve``, which is meant to be stopped so, ends with 0."""

_A_MOMENT_S: Final = 0.01
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


class Terminated(BaseException):
    """SIGTERM came; not an Exception, so that nothing that handles errors takes it for one."""


def terminate(_signal: int, _frame: FrameType | None) -> None:
    """The handler of SIGTERM: leave by way of every ``finally``.

    Where an event loop runs its tasks are cancelled, so that what is awaited ends with CancelledError: an exception
    could come up in any callback of the loop, which would log it and go on.

    Raises:
        Terminated: where none runs.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise Terminated from None
    loop.call_soon_threadsafe(_cancel_all, loop)


def stop_again(lost: sys.UnraisableHookArgs) -> None:
    """The hook for exceptions that nobody can catch, as those in what the garbage collector calls.

    Where that is Terminated, stop once more, in a moment: now it would be lost again. All else is reported as ever.
    """
    if isinstance(lost.exc_value, Terminated):
        signal.signal(signal.SIGALRM, terminate)
        signal.setitimer(signal.ITIMER_REAL, _A_MOMENT_S)
    else:
        sys.__unraisablehook__(lost)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


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
