"""The results of this machine, stored so that one part can be measured again and the page written with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.figures import Section


@dataclass(slots=True)
class Results:
    """The sections by name, all from one machine."""

    machine: str
    sections: dict[str, Section] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, machine: str) -> Results:
        """Load the file. Results of another machine or another version of the program are ignored."""
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=Results)
        except (FileNotFoundError, msgspec.DecodeError):
            return cls(machine)
        return kept if kept.machine == machine else cls(machine)

    def keep(self, section: Section, path: Path) -> None:
        """Replace the section of this name, and write the file."""
        self.sections[section.name] = section
        path.write_bytes(msgspec.json.encode(self))

    def all_of(self, names: Sequence[str]) -> Sequence[Section] | None:
        """Return the sections of these names, in this order; ``None`` if one is missing."""
        if not set(names) <= self.sections.keys():
            return None
        return [self.sections[name] for name in names]
