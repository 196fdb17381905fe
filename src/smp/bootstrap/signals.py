"""Being told to stop."""

from __future__ import annotations

import signal
from typing import Final

EXIT_TERMINATED: Final = 128 + signal.SIGTERM
"""As a shell calls the end by SIGTERM; ``smp serve``, which is meant to be stopped so, ends with 0."""


class Terminated(BaseException):
    """SIGTERM came; not an Exception, so that nothing that handles errors takes it for one."""
