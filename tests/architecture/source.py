"""The source of the platform as the architecture tests look at it: parsed once, module by module."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SRC: Final = ROOT / "src"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the source."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def place(self) -> str:
        """The file as a reader finds it."""
        return self.path.relative_to(ROOT).as_posix()

    def at(self, node: ast.AST) -> str:
        """The line of the node as a reader finds it."""
        return f"{self.place}:{getattr(node, 'lineno', 1)}"

    def functions(self) -> Iterator[Function]:
        """Every function and method, those inside others too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))

    def classes(self) -> Iterator[ast.ClassDef]:
        """The classes that the module defines at its top."""
        return (node for node in self.tree.body if isinstance(node, ast.ClassDef))


def module(name: str, path: Path, text: str) -> Module:
    """The module of this text."""
    return Module(name, path, text, ast.parse(text))


@cache
def modules() -> tuple[Module, ...]:
    """Every module under ``src/``."""
    return tuple(_read(path) for path in sorted(SRC.rglob("*.py")))


def _read(path: Path) -> Module:
    parts = path.relative_to(SRC).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return module(name, path, path.read_text(encoding="utf-8"))


def within(package: str) -> list[Module]:
    """The modules of a package, itself included."""
    return [each for each in modules() if each.name == package or each.name.startswith(f"{package}.")]


def imports(of: Module) -> Iterator[tuple[ast.AST, str]]:
    """Every import wherever it stands, as the dotted name of what is imported, with its node."""
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A dot of a relative import stands for the platform itself.
            yield from ((node, f"{node.module or 'smp'}.{alias.name}") for alias in node.names)


def uses(of: Module) -> Iterator[tuple[ast.AST, str]]:
    """What the module reads of others, as full dotted names: ``dt.datetime.now`` is ``datetime.datetime.now``."""
    known = _imported_names(of)
    for node in ast.walk(of.tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            dotted = _dotted(node)
            first, _, rest = dotted.partition(".")
            if first in known:
                yield node, f"{known[first]}.{rest}".rstrip(".")


def _imported_names(of: Module) -> Mapping[str, str]:
    known: dict[str, str] = {}
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return known


def _dotted(node: ast.AST) -> str:
    """``a.b.c`` of such an expression; empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""
