"""What a step of the delivery ends with when it cannot go on."""

from __future__ import annotations


class StepFailed(Exception):
    """The step cannot go on; the message says why, and what to do."""
