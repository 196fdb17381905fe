"""What `make dist` builds: a wheel that runs and migrates by itself, and a source distribution that builds it again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

from smp import __version__

ROOT: Final = Path(__file__).parents[2]


def build(source: Path, folder: Path, *targets: str) -> None:
    chosen = [word for target in targets for word in ("--target", target)]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder), *chosen],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "sdist", "wheel")
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return dist / f"smp-{__version__}-py3-none-any.whl"


def test_both_are_built_and_named_by_the_version(dist: Path, wheel: Path) -> None:
    assert {file.name for file in dist.iterdir()} == {wheel.name, f"smp-{__version__}.tar.gz"}


def test_the_wheel_has_the_program_its_migrations_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "smp").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names
    migrations = {
        f"smp/_migrations/{path.relative_to(ROOT / 'migrations').as_posix()}"
        for path in (ROOT / "migrations").rglob("*.py")
        if "__pycache__" not in path.parts
    }
    assert len(migrations) > 1
    assert migrations <= names
    assert {name.partition("/")[0] for name in names} == {"smp", f"smp-{__version__}.dist-info"}
    assert [name for name in names if name.endswith((".pyc", ".pyo"))] == []
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_wheel_runs_without_the_source(wheel: Path, tmp_path: Path) -> None:
    """And has the whole schema to print, which needs what comes with the migrations."""
    program = tmp_path / "program.py"
    program.write_text(
        f"""import sys
sys.path.insert(0, {str(tmp_path / "unpacked")!r})
sys.path[:] = [path for path in sys.path if path != {str(ROOT / "src")!r}]
import smp
assert smp.__version__ == {__version__!r} and smp.__file__.startswith({str(tmp_path)!r}), smp.__file__
from smp.bootstrap.main import main
sys.exit(main())
""",
        encoding="utf-8",
    )
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    done = subprocess.run(
        [sys.executable, str(program), "migrate", "--sql"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "CREATE TABLE subscriptions" in done.stdout


def test_the_source_distribution_builds_the_same_wheel(dist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(dist / f"smp-{__version__}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / f"smp-{__version__}", tmp_path / "again", "wheel")
    again = tmp_path / "again" / wheel.name
    assert sha256(again.read_bytes()).hexdigest() == sha256(wheel.read_bytes()).hexdigest()
