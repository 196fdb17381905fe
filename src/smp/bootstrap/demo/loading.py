"""Writing the demonstration into the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from smp.adapters.cli.runtime import DemoLogin, DemoOutcome, DemoProgress
from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.application.ports.clock import Clock
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.queries.readers import PlanReader
from smp.bootstrap.demo.catalogue import LANDMARK, Offer, catalogue
from smp.bootstrap.demo.dice import Dice
from smp.bootstrap.demo.stories import SEED, Story, stories
from smp.domain.errors import PlanNotFound

BATCH: Final = 1_000
"""Users written at once."""

SHARED_LOGIN: Final = "look-around-in-the-demo"
"""The password of all of the demonstration's users."""

LOGINS_MAX: Final = 8
