"""Stand-ins for programs that talk to the outside: each writes down how it was called and says what it was told to."""

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
    """The stand-ins in ``folder``, which is to be put on the PATH."""

    folder: Path

    def answer(self, name: str, *to: str, output: str = "", code: int = 0) -> None:
        """``name`` says ``output`` to a call that has all words of ``to``; of several answers the first one fits."""
        table = self.folder / f"{name}.json"
        known = json.loads(table.read_text()) if table.exists() else []
        table.write_text(json.dumps([*known, {"to": to, "output": output, "code": code}]))
        script = self.folder / name
        script.write_text(_SCRIPT.format(python=sys.executable, folder=str(self.folder), name=name))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def calls(self) -> list[Sequence[str]]:
        """All calls so far, in their order: the program's name and its arguments."""
        log = self.folder / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
