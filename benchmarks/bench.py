"""The parameters of every benchmark."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.datasets import Datasets
from benchmarks.progress import Progress
from benchmarks.server import Server


@dataclass(frozen=True, slots=True)
class Scale:
    """The sizes of the data, the number of rounds, and their length."""

    platform: int
    due_small: int
    due_large: int
    rounds: int
    round_s: float
    transactions: int
    samples: int
    starts: int


FULL = Scale(
    platform=1_000_000,
    due_small=100_000,
    due_large=1_000_000,
    rounds=5,
    round_s=4,
    transactions=2_000,
    samples=15,
    starts=5,
)
QUICK = Scale(
    platform=20_000,
    due_small=10_000,
    due_large=20_000,
    rounds=1,
    round_s=1,
    transactions=300,
    samples=3,
    starts=1,
)


@dataclass(frozen=True, slots=True)
class Bench:
    """The server, the data sets, the progress, and the scale."""

    server: Server
    datasets: Datasets
    progress: Progress
    scale: Scale
