"""``python -m benchmarks``: measure, print the figures, and write docs/performance.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import uvloop

from benchmarks import access, activation, listing, machine, report, scaling, startup, sweep
from benchmarks.bench import FULL, QUICK, Bench
from benchmarks.datasets import Datasets
from benchmarks.figures import Section
from benchmarks.processes import ROOT
from benchmarks.progress import Progress
from benchmarks.results import Results
from benchmarks.server import FOLDER, open_server

PAGE: Final = ROOT / "docs" / "performance.md"
RESULTS: Final = FOLDER / "results.json"

Run = Callable[[Bench], Awaitable[Section]]
BENCHMARKS: Final[Mapping[str, Run]] = {
    access.NAME: access.run,
    activation.NAME: activation.run,
    sweep.NAME: sweep.run,
    listing.NAME: listing.run,
    startup.NAME: startup.run,
    scaling.NAME: scaling.run,
}


def main() -> int:
    """Measure and return the exit code: 0 if every target is met or its miss has a known reason, otherwise 1."""
    arguments = _arguments()
    progress = Progress()
    with open_server() as server:
        scale = QUICK if arguments.quick else FULL
        bench = Bench(server, Datasets(server, progress), progress, scale)
        return uvloop.run(_measure(bench, arguments.only or list(BENCHMARKS)))


async def _measure(bench: Bench, names: list[str]) -> int:
    await bench.datasets.drop_outdated()
    here = machine.describe(await bench.server.version())
    print(f"On {here}.\n", flush=True)
    results = Results.load(RESULTS, here)
    sections = []
    for name in names:
        bench.progress.part(name)
        _warn_if_busy(bench.progress)
        section = await BENCHMARKS[name](bench)
        sections.append(section)
        print(report.terminal(section), end="\n\n", flush=True)
        if bench.scale is FULL:
            results.keep(section, RESULTS)
    if bench.scale is FULL:
        _write_page(results)
    missed = report.missed(sections)
    for figure in missed:
        print(f"Missed: {figure.name} is {figure.text}, should be {figure.target_text}. {figure.reason}".rstrip())
    return 1 if any(not figure.reason for figure in missed) else 0


def _write_page(results: Results) -> None:
    sections = results.all_of(list(BENCHMARKS))
    if sections is None:
        print(f"{PAGE.relative_to(ROOT)} is written when every part has been measured on this machine.")
        return
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(report.markdown(results.machine, sections), encoding="utf-8")
    print(f"Written: {PAGE.relative_to(ROOT)}")


def _warn_if_busy(progress: Progress) -> None:
    load = machine.busy_with()
    if load is not None:
        progress.step(f"the machine is busy with other work (load {load:.1f}), so the figures will be worse")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="one part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="small data, short rounds; the page is not written")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
