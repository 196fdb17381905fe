"""What was found so far on this machine: one part can be measured anew, and the page written with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.figures import Section


@dataclass(slots=True)
class Results:
    """The sections by name; all of one machine."""

    machine: str
    sections: dict[str, Section] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, machine: str) -> Results:
        """Those in the file; none where there is no file, or it is of another machine or another program."""
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=Results)
        except (FileNotFoundError, msgspec.DecodeError):
            return cls(machine)
        return kept if kept.machine == machine else cls(machine)

    def keep(self, section: Section, path: Path) -> None:
        """Put it in the place of the one of this name, and write the file."""
        self.sections[section.name] = section
        path.write_bytes(msgspec.json.encode(self))

    def all_of(self, names: Sequence[str]) -> Sequence[Section] | None:
        """The sections of these names, in this order; ``None`` where one is missing."""
        if not set(names) <= self.sections.keys():
            return None
        return [self.sections[name] for name in names]
