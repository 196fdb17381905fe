"""Handling of SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

EXIT_TERMINATED: Final = 128 + signal.SIGTERM
"""The exit code of a command that SIGTERM ended, as in a shell; ``smp serve`` exits with 0 instead."""

_SIGNAL_AGAIN_AFTER_S: Final = 0.01
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


class Terminated(BaseException):
    """SIGTERM arrived; not an Exception, so that error handling does not catch it."""


def terminate(_signal: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM: end the program and run every ``finally``.

    While an event loop runs, its tasks are cancelled instead. An exception could be raised in a callback of the loop,
    which would log it and continue.

    Raises:
        Terminated: if no event loop runs.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise Terminated from None
    loop.call_soon_threadsafe(_cancel_all, loop)


def signal_again(lost: sys.UnraisableHookArgs) -> None:
    """Handle an exception that cannot be caught, as ``sys.unraisablehook``.

    Such exceptions are raised in callbacks of the garbage collector. If SIGTERM arrived during one, send it once more
    from a thread: sent from here it would be lost again. Any other exception is reported as usual.
    """
    if isinstance(lost.exc_value, Terminated):
        threading.Timer(_SIGNAL_AGAIN_AFTER_S, os.kill, (os.getpid(), signal.SIGTERM)).start()
    else:
        sys.__unraisablehook__(lost)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


def reset_stops_in_children() -> None:
    """Let SIGTERM and SIGINT end every process that is forked from now on, until it has its own handlers.

    A fork inherits the handlers of this process, which would do nothing there that ends it. The signals are blocked
    during the fork, so that none is lost before the handlers are reset.
    """

    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)

    def reset() -> None:
        for number in _STOPS:
            signal.signal(number, signal.SIG_DFL)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=reset)


@contextmanager
def stop_deferred() -> Iterator[None]:
    """Delay SIGTERM and SIGINT until the end of the block, so that the block is done completely or fails by itself.

    Python handles signals in the main thread only; in any other thread the block runs unchanged.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _STOPS}
    # The process's signal mask would do as well, but programs that are started in the block would inherit it.
    for number in _STOPS:
        signal.signal(number, lambda stop, _frame: arrived.append(stop))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if arrived:
            signal.raise_signal(arrived[0])
