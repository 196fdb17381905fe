"""The effort of the property tests: ``HYPOTHESIS_PROFILE`` is ``quick`` (the default) or ``nightly``."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a machine that is busy with something else is not a defect.
settings.register_profile("quick", max_examples=100, stateful_step_count=30, deadline=None)
settings.register_profile("nightly", max_examples=2_000, stateful_step_count=60, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
