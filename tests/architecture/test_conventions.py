"""The house rules that can be checked in the source."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.source import ROOT, Module, imports, module, modules, uses, within

FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTION_LINES_MAX: Final = 50
HANDLER_LINES_MAX: Final = 60
FILE_LINES_MAX: Final = 300

Rule = Callable[[Module], Iterable[str]]

CLOCKS_AND_RANDOMNESS: Final = frozenset(
    {
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "time.time",
        "time.time_ns",
        "time.localtime",
        "time.gmtime",
        "os.urandom",
        "uuid.uuid1",
        "uuid.uuid4",
    }
)
SECRET_MODULES: Final = frozenset({"secrets", "uuid_utils"})
CORE: Final = ("smp.domain.", "smp.application.")

SYSTEM_ADAPTERS: Final = "smp.adapters.system"
MIGRATOR: Final = "smp.adapters.postgres.migrator"


def reads_clock_or_randomness(of: Module) -> Iterable[str]:
    """Clock, ids and secrets have ports, and only their adapters may read the system; the core has no randomness."""
    if of.name.startswith(SYSTEM_ADAPTERS):
        return
    banned = SECRET_MODULES | {"random"} if of.name.startswith(CORE) else SECRET_MODULES
    for node, name in [*uses(of), *imports(of)]:
        if name in CLOCKS_AND_RANDOMNESS or name.partition(".")[0] in banned:
            yield f"{of.at(node)} reads clock or randomness: {name}"


def starts_program_with_whole_environment(of: Module) -> Iterable[str]:
    """The environment has secrets: a program is given the variables that it needs."""
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Call) and not any(keyword.arg == "env" for keyword in node.keywords):
            name = ast.unparse(node.func)
            if name.startswith(("subprocess.", "asyncio.create_subprocess_")) and name != "subprocess.TimeoutExpired":
                yield f"{of.at(node)} starts a program with all variables"


def follows_links_as_root(of: Module) -> Iterable[str]:
    """A path can be replaced by a link; owners and modes are changed through the descriptor of an opened file."""
    for node, name in uses(of):
        if name in {"os.chown", "os.chmod", "shutil.chown"}:
            yield f"{of.at(node)} changes the owner or mode of what a path names at that moment: {name}"


def hides_imports(of: Module) -> Iterable[str]:
    """An import that exists only for the type checker is missing when dishka resolves type hints."""
    for node, name in [*uses(of), *imports(of)]:
        if name.endswith("TYPE_CHECKING"):
            yield f"{of.at(node)} imports for types only"


def leaves_work(of: Module) -> Iterable[str]:
    """No note about unfinished work, and no empty body."""
    for number, line in enumerate(of.text.splitlines(), 1):
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            yield f"{of.place}:{number} leaves work"
    for node in ast.walk(of.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if any(_is_nothing(statement) for statement in body):
                yield f"{of.at(node)} {node.name} does nothing"


def _is_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement.value.value is ...
    return isinstance(statement, ast.Pass)


def runs_sqlalchemy(of: Module) -> Iterable[str]:
    """SQLAlchemy compiles statements, and the driver runs them. Only Alembic needs an engine."""
    if of.name == MIGRATOR:
        return
    for node, name in imports(of):
        if re.match(r"sqlalchemy\.(orm|ext)\b", name) or re.fullmatch(r"sqlalchemy\..*create_\w*engine", name):
            yield f"{of.at(node)} runs SQLAlchemy: {name}"


def lacks_docstring(of: Module) -> Iterable[str]:
    """Every module has a docstring."""
    if not ast.get_docstring(of.tree):
        yield f"{of.place} has no docstring"


def has_long_function(of: Module) -> Iterable[str]:
    """A function fits on a screen, nested functions included."""
    for function in of.functions():
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{of.at(function)} {function.name} has {lines} lines"


def is_long(of: Module) -> Iterable[str]:
    """A file fits into a few screens."""
    lines = of.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{of.place} has {lines} lines"


RULES: Final = (
    reads_clock_or_randomness,
    starts_program_with_whole_environment,
    follows_links_as_root,
    hides_imports,
    leaves_work,
    runs_sqlalchemy,
    lacks_docstring,
    has_long_function,
    is_long,
)


@pytest.mark.parametrize("rule", RULES)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    assert [complaint for each in modules() for complaint in rule(each)] == []


def test_the_rules_see_the_modules_of_the_source() -> None:
    """If a path moved, no rule could fail."""
    assert len(modules()) > 100
    assert {"smp.domain.money", "smp.adapters.system.clock", "smp.application.commands"} <= {m.name for m in modules()}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (reads_clock_or_randomness, "from datetime import datetime\nx = datetime.now()"),
        (reads_clock_or_randomness, "import datetime as dt\nx = dt.datetime.utcnow()"),
        (reads_clock_or_randomness, "from datetime import date as d\nx = d.today"),
        (reads_clock_or_randomness, "from time import time\nx = time()"),
        (reads_clock_or_randomness, "import time\ndef f():\n    return time.time()"),
        (reads_clock_or_randomness, "from uuid import uuid4 as new\nx = new()"),
        (reads_clock_or_randomness, "def f():\n    import random\n    return random.random()"),
        (reads_clock_or_randomness, "from secrets import token_hex"),
        (reads_clock_or_randomness, "import os\nx = os.urandom(3)"),
        (starts_program_with_whole_environment, "import subprocess\nsubprocess.run(['ls'])"),
        (starts_program_with_whole_environment, "import asyncio\nx = asyncio.create_subprocess_exec('ls')"),
        (follows_links_as_root, "import os\nos.chown('a', 1, 1)"),
        (hides_imports, "from typing import TYPE_CHECKING"),
        (hides_imports, "import typing\nif typing.TYPE_CHECKING:\n    import x"),
        (leaves_work, "x = 1  # TODO: more"),
        (leaves_work, '"""FIXME"""'),
        (leaves_work, "def f():\n    pass"),
        (leaves_work, 'class A:\n    """It is."""\n    pass'),
        (leaves_work, 'async def f():\n    """It does."""\n    ...'),
        (runs_sqlalchemy, "from sqlalchemy import create_engine"),
        (runs_sqlalchemy, "from sqlalchemy.ext.asyncio import create_async_engine"),
        (runs_sqlalchemy, "import sqlalchemy.orm"),
        (lacks_docstring, "x = 1"),
        (has_long_function, "def f():\n" + "    x = 1\n" * 50),
        (has_long_function, "def f():\n    def g():\n" + "        x = 1\n" * 49),
        (is_long, "x = 1\n" * 301),
    ],
)
def test_each_rule_finds_a_breach(rule: Rule, text: str) -> None:
    assert list(rule(module("smp.domain.bad", ROOT / "src/smp/domain/bad.py", text)))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (reads_clock_or_randomness, "def f(now):\n    return now.now()"),
        (reads_clock_or_randomness, "import time\nx = time.monotonic()"),
        (reads_clock_or_randomness, "from datetime import datetime\nx = datetime.fromisoformat"),
        (starts_program_with_whole_environment, "import subprocess\nsubprocess.run(['ls'], env={})"),
        (follows_links_as_root, "import os\nos.fchown(3, 1, 1)"),
        (leaves_work, 'def f():\n    """It does nothing, and says so."""'),
        (runs_sqlalchemy, "from sqlalchemy import Table, select"),
        (has_long_function, "def f():\n" + "    x = 1\n" * 49),
        (is_long, "x = 1\n" * 300),
    ],
)
def test_no_rule_complains_about_correct_code(rule: Rule, text: str) -> None:
    assert list(rule(module("smp.domain.good", ROOT / "src/smp/domain/good.py", text))) == []


@pytest.mark.parametrize("package", ["smp.domain", "smp.application"])
def test_domain_and_application_import_only_the_standard_library_and_inner_layers(package: str) -> None:
    """Imports inside functions count too. The application may import the domain. The one exception is in ADR 20."""
    own = {"smp.domain"} if package == "smp.domain" else {"smp.domain", "smp.application"}
    foreign = [
        f"{each.at(node)} imports {name}"
        for each in within(package)
        for node, name in imports(each)
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith(tuple(f"{o}." for o in own))
    ]
    assert foreign == (["src/smp/domain/user/user.py:14 imports idna"] if package == "smp.domain" else [])


USE_CASES: Final = [
    each
    for package in ("smp.application.commands", "smp.application.queries")
    for each in within(package)
    if each.name not in {package, "smp.application.queries.views"}
]


def snake_case(name: str) -> str:
    """Return ``start_trial`` for ``StartTrial``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name.rpartition(".")[2])
def test_a_use_case_is_one_file_with_one_handler_and_the_name_of_its_command(use_case: Module) -> None:
    """So the list of files is the list of features."""
    names = [each.name for each in use_case.classes()]
    handlers = [name for name in names if name.endswith("Handler")]
    assert len(handlers) == 1
    command = handlers[0].removesuffix("Handler")
    assert names.count(command) == 1
    assert snake_case(command) == use_case.name.rpartition(".")[2]
    (handler,) = (each for each in use_case.classes() if each.name == handlers[0])
    (call,) = (each for each in handler.body if isinstance(each, ast.AsyncFunctionDef) and each.name == "__call__")
    asked = call.args.args[1].annotation
    assert isinstance(asked, ast.Name)
    assert asked.id == command


@pytest.mark.parametrize("use_case", USE_CASES, ids=lambda use_case: use_case.name.rpartition(".")[2])
def test_a_handler_fits_on_a_screen(use_case: Module) -> None:
    """Docstrings, comments and blank lines are not counted."""
    handlers = [each for each in use_case.classes() if each.name.endswith("Handler")]
    assert [
        code_lines(use_case, handler) for handler in handlers if code_lines(use_case, handler) > HANDLER_LINES_MAX
    ] == []


def code_lines(of: Module, node: ast.ClassDef) -> int:
    """Return the number of lines of code in the class."""
    documented = (
        each for each in ast.walk(node) if isinstance(each, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    )
    documentation: set[int] = set()
    for each in documented:
        if ast.get_docstring(each) is not None:
            docstring = each.body[0]
            documentation |= set(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    lines = of.text.splitlines()
    return sum(
        1
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        if number not in documentation and lines[number - 1].strip() and not lines[number - 1].strip().startswith("#")
    )


def test_docstrings_comments_and_blank_lines_are_not_counted() -> None:
    text = (
        'class A:\n    """One\n    two.\n    """\n\n    # why\n    x = 1\n\n'
        '    def f(self):\n        """It."""\n        return 2\n'
    )
    of = module("smp.a", Path(ROOT / "src/smp/a.py"), text)
    (node,) = of.classes()
    assert code_lines(of, node) == 4
