"""The import contracts, and the rule that an import has no side effects."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import ROOT, SRC, modules

TIMEOUT_S: Final = 120


def lint_imports(folder: Path, source: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run the import contracts of the ``pyproject.toml`` in ``folder`` over the platform in ``source``."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=sys.argv[1]))"
    return subprocess.run(
        [sys.executable, "-c", program, str(cache)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_the_source_keeps_the_import_contracts(tmp_path: Path) -> None:
    """Dependencies point inward, adapters and areas are independent, and the core imports only the standard library."""
    run = lint_imports(ROOT, SRC, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 kept, 0 broken" in run.stdout


def test_a_breach_of_each_import_contract_is_found(tmp_path: Path) -> None:
    shutil.copytree(SRC / "smp", tmp_path / "src" / "smp", ignore=shutil.ignore_patterns("static", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    domain = tmp_path / "src/smp/domain"
    (domain / "inside_out.py").write_text("import smp.application.paging\nimport msgspec\n")
    (tmp_path / "src/smp/adapters/http/access/neighbour.py").write_text("import smp.adapters.http.api.cursors\n")
    (tmp_path / "src/smp/adapters/system/neighbour.py").write_text("import smp.adapters.memory.store\n")
    run = lint_imports(tmp_path, tmp_path / "src", tmp_path / "cache")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "0 kept, 4 broken" in run.stdout


def test_a_folder_of_the_http_interface_that_no_contract_names_is_found(tmp_path: Path) -> None:
    shutil.copytree(SRC / "smp", tmp_path / "src" / "smp", ignore=shutil.ignore_patterns("static", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    forgotten = tmp_path / "src/smp/adapters/http/forgotten"
    forgotten.mkdir()
    (forgotten / "__init__.py").write_text("")
    run = lint_imports(tmp_path, tmp_path / "src", tmp_path / "cache")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "forgotten" in run.stdout
    assert "3 kept, 1 broken" in run.stdout


IMPORT_ALL: Final = '''
import importlib, os, sys, traceback

found = []


def line_at_import():
    """Return the line of the platform that is running, or None if it only imports another package that acts."""
    frame = sys._getframe(2)
    while frame is not None:
        if "importlib" in frame.f_code.co_filename:
            return None
        if frame.f_globals.get("__name__", "").partition(".")[0] == "smp":
            return f"{frame.f_globals['__name__']}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def note(what):
    place = line_at_import()
    if place is not None:
        found.append(f"{place} {what}")


class Poisoned(type(os.environ)):
    def __getitem__(self, key):
        note(f"reads the environment: {key}")
        return super().__getitem__(key)

    def __contains__(self, key):
        note(f"reads the environment: {key}")
        return super().__contains__(key)

    def __iter__(self):
        note("reads the environment")
        return super().__iter__()


def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.spawn", "os.system", "os.mkdir")):
        found.append(f"{event} {arguments[1:3]}") if event.startswith("socket.") else note(event)
    elif event == "open":
        note(f"opens {arguments[0]}")


real = os.environ
os.environ = Poisoned(real._data, real.encodekey, real.decodekey, real.encodevalue, real.decodevalue)
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*found, sep="\\n", end="")
'''


def import_all(names: list[str], *paths: Path) -> list[str]:
    """Import the modules in a separate process, and return their side effects."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_ALL, *names],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_importing_a_module_opens_nothing_and_reads_no_environment() -> None:
    """A ``__main__`` module is run, not imported."""
    assert import_all([each.name for each in modules() if not each.name.endswith("__main__")], SRC) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("import os\nHOME = os.environ.get('HOME')", "reads the environment: HOME"),
        ("import os\nHOME = os.getenv('HOME')", "reads the environment: HOME"),
        ("import os\nALL = dict(os.environ)", "reads the environment"),
        ("import socket\nS = socket.socket(); S.close()", "socket."),
        ("from pathlib import Path\nT = Path(__file__).read_text()", "opens"),
        ("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen"),
    ],
)
def test_each_side_effect_of_an_import_is_found(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "smp").mkdir()
    (tmp_path / "smp/__init__.py").write_text("")
    (tmp_path / "smp/doer.py").write_text(text)
    assert any(word in each for each in import_all(["smp.doer"], tmp_path))
