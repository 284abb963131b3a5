"""The house rules that a machine can check: imports point down, heavy things come late, modules stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "modelprep"

#: Package -> how high it lies; an import may go to a lower package or stay inside.
LEVELS = {
    "patterns": -1,
    "structs": -1,
    "errors": 0,
    "installed": 0,
    "version": 0,
    "regular": 0,
    "events": 0,
    "pages": 0,
    "quoting": 0,
    "url": 0,
    "recipe": 1,
    "formats": 2,
    "targets": 2,
    "store": 2,
    "fetch": 3,
    "steps": 3,
    "tree": 3,
    "check": 4,
    "audit": 4,
    "deliver": 4,
    "pipeline": 5,
    "api": 6,
    "cli": 7,
    "__main__": 8,
}
#: Packages on one level that may know each other, one way.
NEIGHBOURS = {("targets", "formats"), ("installed", "quoting"), ("pages", "quoting"), ("pages", "version")}
HEAVY = {
    "requests", "tqdm", "google", "numpy", "tensorflow", "onnx", "onnxruntime", "cv2", "yaml", "PIL", "tf2onnx",
    "ai_edge_litert", "tf_slim", "tf_keras", "platformdirs", "urllib3", "multiprocessing", "asyncio",
    "flatbuffers", "jinja2",
}  # fmt: skip
#: Module -> why it may import something heavy at its top.
MAY_BE_HEAVY = {
    "modelprep/pipeline/run/subprocess.py": "the connection between parent and child is what it is about",
    "modelprep/pipeline/run/worker.py": "its other end",
    "modelprep/check/runtimes/worker.py": "the other end of its parent's connection",
}
LONGEST = 400
#: Module -> why it is longer than that.
MAY_BE_LONG: dict[str, str] = {}


class Imports(NamedTuple):
    """What a module imports: line and name of each; of those that run with it; (`a.b`, `a`) of `from a import b`."""

    all: list[tuple[int, str]]
    early: list[tuple[int, str]]
    pairs: set[tuple[str, str]]


@cache
def modules() -> dict[str, Imports]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE.parent).as_posix()
        if "_recipes" not in name:
            tree = ast.parse(path.read_text("utf-8"), name)
            early = [one for node in at_import_time(tree.body) for one in imported(node)]
            found[name] = Imports(list(imported(tree)), early, set(pairs(tree)))
    return found


def package_of(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1].removesuffix(".py") if len(parts) > 1 else ""


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, "imports are absolute"
            yield node.lineno, node.module
            if node.module == "modelprep":
                for alias in node.names:
                    yield node.lineno, f"modelprep.{alias.name}"


def pairs(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", str(node.module)) for alias in node.names)


def at_import_time(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Walk the statements that run when the module is imported; not those under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If):
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
                yield from at_import_time(node.body)
            yield from at_import_time(node.orelse)
        elif isinstance(node, (ast.ClassDef, ast.With)):
            yield from at_import_time(node.body)
        elif isinstance(node, ast.Try):
            for part in (node.body, node.orelse, node.finalbody, *(handler.body for handler in node.handlers)):
                yield from at_import_time(part)
        else:
            yield node


def test_every_package_has_its_level() -> None:
    packages = {package_of(name.replace("/", ".").removesuffix(".py")) for name in modules()} - {"__init__"}
    assert packages == set(LEVELS)


def test_imports_point_down() -> None:
    wrong = []
    for name, imports in modules().items():
        if name == "modelprep/__init__.py":
            continue
        here = package_of(name.replace("/", ".").removesuffix(".py"))
        for line, dotted in imports.all:
            if not dotted.startswith("modelprep."):
                continue
            there = package_of(dotted)
            if there not in LEVELS or there == here:
                continue
            if LEVELS[there] >= LEVELS[here] and (here, there) not in NEIGHBOURS:
                wrong.append(f"{name}:{line} imports {dotted}")
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and those for type checkers count too."""
    found = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): imports.pairs
        for name, imports in modules().items()
    }
    graph = {
        name: ({longer if longer in found else shorter for longer, shorter in pairs} & set(found)) - {name}
        for name, pairs in found.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_command_line_calls_the_verbs_and_nothing_below_them() -> None:
    """Imports inside functions and those for type checkers count too; what is everybody's is said here."""
    wrong = [
        f"{name}:{line} imports {dotted}"
        for name, imports in modules().items()
        if name.startswith("modelprep/cli/")
        for line, dotted in imports.all
        if dotted.startswith("modelprep.")
        and package_of(dotted) not in ("cli", "api", "errors", "events", "structs", "version")
    ]
    assert not wrong, "\n".join(wrong)


def test_steps_know_no_fetch_and_formats_no_recipe() -> None:
    forbidden = {"steps": {"fetch", "store", "recipe", "tree", "pipeline"}, "formats": {"recipe", "store", "steps"}}
    wrong = []
    for name, imports in modules().items():
        here = package_of(name.replace("/", ".").removesuffix(".py"))
        for line, dotted in imports.all:
            if dotted.startswith("modelprep.") and package_of(dotted) in forbidden.get(here, ()):
                wrong.append(f"{name}:{line} imports {dotted}")
    assert not wrong, "\n".join(wrong)


def test_heavy_libraries_are_imported_inside_the_functions_that_use_them() -> None:
    wrong = [
        f"{name}:{line} imports {dotted}"
        for name, imports in modules().items()
        if name not in MAY_BE_HEAVY
        for line, dotted in imports.early
        if dotted.partition(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_grows_over_its_limit() -> None:
    lengths = {
        path.relative_to(PACKAGE.parent).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST and name not in MAY_BE_LONG}
    assert not long
    assert not [name for name in MAY_BE_LONG if lengths.get(name, 0) <= LONGEST], "an exception is no longer needed"


def loaded_after(*arguments: str) -> set[str]:
    code = (
        "import sys\n"
        "from modelprep.cli.main import invoke\n"
        f"code = invoke({list(arguments)!r})\n"
        "print('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return set(ran.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--version"], HEAVY | {"rich", "pydantic"}),
        (["--help"], HEAVY | {"rich", "pydantic"}),
        (["list"], HEAVY - {"yaml", "multiprocessing", "platformdirs"} | {"rich"}),
    ],
)
def test_a_command_loads_no_more_than_it_needs(arguments: list[str], forbidden: set[str]) -> None:
    assert not loaded_after(*arguments) & forbidden


def test_importing_modelprep_loads_nothing_of_it() -> None:
    code = "import sys, modelprep; print([name for name in sys.modules if name.startswith('modelprep.')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True)
    assert ran.stdout.strip() == "[]"
