"""The locked requirements match pyproject.toml and the installed packages, are complete, and have hashes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]

# The extras and dependency groups in each file, in addition to the runtime's dependencies, which the last file omits.
FILES = {
    "requirements.txt": (("otel",), ()),
    "requirements-embedded.txt": (("embedded", "otel"), ()),
    "requirements-dev.txt": (("embedded", "otel"), ("dev",)),
    "requirements-build.txt": ((), ("build",)),
}
APART = "requirements-build.txt"


@dataclass(frozen=True, slots=True)
class Pin:
    """One ``name==version`` line of a file."""

    name: NormalizedName
    version: Version
    marker: Marker | None
    hashes: int

    @property
    def applies(self) -> bool:
        return self.marker is None or self.marker.evaluate()


def pins(text: str) -> list[Pin]:
    entries = re.sub(r"\\\n", " ", text).splitlines()
    return [pin(entry) for entry in entries if entry.strip() and not entry.startswith("#")]


def pin(entry: str) -> Pin:
    requirement, *hashes = re.split(r"\s+--hash=sha256:", entry.strip())
    assert all(re.fullmatch(r"[0-9a-f]{64}", each.strip()) for each in hashes), entry
    parsed = Requirement(requirement)
    (specifier,) = parsed.specifier
    assert specifier.operator == "==", entry
    return Pin(canonicalize_name(parsed.name), Version(specifier.version), parsed.marker, len(hashes))


def declared(extras: Iterable[str], groups: Iterable[str], *, runtime: bool = True) -> list[Requirement]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    texts: list[str] = list(document["project"]["dependencies"]) if runtime else []
    for extra in extras:
        texts += document["project"]["optional-dependencies"][extra]
    for group in groups:
        texts += members(document["dependency-groups"], group)
    return [Requirement(text) for text in texts]


def members(groups: Mapping[str, list[Any]], name: str) -> list[str]:
    """Return the requirements of the group and of its included groups (PEP 735)."""
    texts: list[str] = []
    for entry in groups[name]:
        texts += [entry] if isinstance(entry, str) else members(groups, entry["include-group"])
    return texts


def complaints(text: str, expected: Iterable[Requirement]) -> list[str]:
    """Return what is wrong with a file of this text, for these requirements and the installed distributions."""
    found = [f"names an address: {line.strip()}" for line in text.splitlines() if "://" in line]
    pinned = {pin.name: pin for pin in pins(text) if pin.applies}
    found += [f"{pin.name} has no hashes" for pin in pins(text) if pin.hashes == 0]

    waiting = list(expected)
    walked: set[tuple[NormalizedName, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in pinned:
            found.append(f"{requirement} is not pinned")
        elif pinned[name].version not in requirement.specifier:
            found.append(f"{requirement} does not allow the pin {pinned[name].version}")
        node = (name, frozenset(requirement.extras))
        if node not in walked:
            walked.add(node)
            waiting += dependencies(*node)

    reached = {name for name, _ in walked}
    found += [f"{name} is not required by anything" for name in pinned if name not in reached]
    for name in sorted(reached & pinned.keys()):
        if (installed := version_here(name)) != pinned[name].version:
            found.append(f"{name} is pinned at {pinned[name].version}, installed is {installed}")
    return found


def dependencies(name: NormalizedName, extras: frozenset[str]) -> list[Requirement]:
    """Return what the installed distribution requires on this machine with these extras; markers are evaluated."""
    try:
        texts = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    chosen = []
    for requirement in map(Requirement, texts):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            requirement.marker = None
            chosen.append(requirement)
    return chosen


def version_here(name: str) -> Version | None:
    try:
        return Version(distribution(name).version)
    except PackageNotFoundError:
        return None


def without(text: str, name: str) -> str:
    """Return the file without this pin and its hashes."""
    shorter = re.sub(rf"(?m)^{re.escape(name)}==.*\n(?:    --hash=.*\n)+", "", text)
    assert shorter != text
    return shorter


@pytest.fixture(scope="module")
def runtime() -> str:
    return (ROOT / "requirements.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES)
def test_a_requirements_file_contains_what_pyproject_declares(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert complaints(text, declared(*FILES[file], runtime=file != APART)) == [], "run: make lock"


def test_all_requirements_files_have_the_same_version_of_a_package() -> None:
    """Installing a second file on top of a first one changes no version."""
    versions: dict[tuple[str, str], set[Version]] = {}
    for file in FILES:
        for each in pins((ROOT / file).read_text(encoding="utf-8")):
            versions.setdefault((each.name, str(each.marker)), set()).add(each.version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", ["msgspec", "httpcore"], ids=["declared", "through-another"])
def test_a_missing_pin_is_found(runtime: str, name: str) -> None:
    found = complaints(without(runtime, name), declared(("otel",), ()))
    assert found
    assert all(name in each and "not pinned" in each for each in found)


def test_a_pin_outside_the_declared_range_is_found(runtime: str) -> None:
    found = complaints(re.sub(r"(?m)^litestar==\S+", "litestar==1.0", runtime), declared(("otel",), ()))
    assert any("does not allow the pin 1.0" in each for each in found)
    assert any("litestar is pinned at 1.0, installed is 2" in each for each in found)


def test_a_pin_that_nothing_requires_is_found(runtime: str) -> None:
    stray = "pytest==9.2.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    assert complaints(runtime + stray, declared(("otel",), ())) == ["pytest is not required by anything"]
    elsewhere = stray.replace(" \\", " ; sys_platform == 'plan9' \\")
    assert complaints(runtime + elsewhere, declared(("otel",), ())) == []


def test_a_pin_without_hashes_is_found(runtime: str) -> None:
    text = re.sub(r"(?m)^(msgspec==\S+) \\\n(?:    --hash=.*\n)+", r"\1\n", runtime)
    assert complaints(text, declared(("otel",), ())) == ["msgspec has no hashes"]


def test_an_index_address_is_found(runtime: str) -> None:
    assert complaints("# from https://packages.invalid/simple\n" + runtime, declared(("otel",), ())) == [
        "names an address: # from https://packages.invalid/simple"
    ]
