"""The wheel runs and migrates by itself, and the source distribution builds the same wheel."""

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


def test_the_wheel_contains_the_program_its_migrations_and_its_licence_only(dist: Path, wheel: Path) -> None:
    assert {file.name for file in dist.iterdir()} == {wheel.name, f"smp-{__version__}.tar.gz"}
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = [(ROOT / "src", ROOT / "src" / "smp", ""), (ROOT / "migrations", ROOT / "migrations", "smp/_migrations/")]
    for root, folder, prefix in sources:
        files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        expected = {prefix + path.relative_to(root).as_posix() for path in files}
        assert len(expected) > 1
        assert expected <= names
    assert {name.partition("/")[0] for name in names} == {"smp", f"smp-{__version__}.dist-info"}
    assert not any(name.endswith((".pyc", ".pyo")) for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_wheel_runs_without_the_source_and_prints_the_whole_schema(wheel: Path, tmp_path: Path) -> None:
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
