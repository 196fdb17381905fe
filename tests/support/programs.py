"""Stand-ins for external programs: each records its calls and prints a given output."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCRIPT: Final = """#!{python}
import json, pathlib, sys
folder, name = pathlib.Path({folder!r}), {name!r}
call = [name, *sys.argv[1:]]
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(call) + "\\n")
answers = json.loads((folder / f"{{name}}.json").read_text())
found = [answer for answer in answers if set(answer["to"]) <= set(call)]
if not found:
    sys.exit(f"{{name}}: not expected: {{call}}")
sys.stdout.write(found[0]["output"])
sys.exit(found[0]["code"])
"""


@dataclass(frozen=True, slots=True)
class Programs:
    """The stand-ins in ``folder``, which must be on the PATH."""

    folder: Path

    def answer(self, name: str, *to: str, output: str = "", code: int = 0) -> None:
        """Let ``name`` print ``output`` for a call that contains all words of ``to``; the first match is used."""
        table = self.folder / f"{name}.json"
        known = json.loads(table.read_text()) if table.exists() else []
        table.write_text(json.dumps([*known, {"to": to, "output": output, "code": code}]))
        script = self.folder / name
        script.write_text(_SCRIPT.format(python=sys.executable, folder=str(self.folder), name=name))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def calls(self) -> list[Sequence[str]]:
        """Return all calls so far in their order: the name of the program and its arguments."""
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
