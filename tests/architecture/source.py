"""The parsed modules of the source, for the architecture tests."""

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
        """The path of the file in the repository."""
        return self.path.relative_to(ROOT).as_posix()

    def at(self, node: ast.AST) -> str:
        """Return path and line of the node."""
        return f"{self.place}:{getattr(node, 'lineno', 1)}"

    def functions(self) -> Iterator[Function]:
        """Yield every function and method, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Yield the classes at the top level of the module."""
        return (node for node in self.tree.body if isinstance(node, ast.ClassDef))


def module(name: str, path: Path, text: str) -> Module:
    """Return the module with this text."""
    return Module(name, path, text, ast.parse(text))


@cache
def modules() -> tuple[Module, ...]:
    """Return every module under ``src/``."""
    return tuple(_read(path) for path in sorted(SRC.rglob("*.py")))


def _read(path: Path) -> Module:
    parts = path.relative_to(SRC).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return module(name, path, path.read_text(encoding="utf-8"))


def within(package: str) -> list[Module]:
    """Return the package and its modules."""
    return [each for each in modules() if each.name == package or each.name.startswith(f"{package}.")]


def imports(of: Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield every import, nested ones too: its node, and the dotted name of the imported object."""
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import has no module name; it imports from the platform.
            yield from ((node, f"{node.module or 'smp'}.{alias.name}") for alias in node.names)


def uses(of: Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield each use of an imported name, as a full dotted name: ``dt.datetime.now`` is ``datetime.datetime.now``."""
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
    """Return ``a.b.c`` for such an expression, and an empty text for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""
