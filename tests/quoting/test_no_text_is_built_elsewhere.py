"""Shell and BitBake text, HTML and the raw text of URLs come from one place each: the code base is read for others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent.parent / "modelprep"
WRITERS = PACKAGE / "quoting.py"

#: What text for a shell or for BitBake looks like.
SHELL = re.compile(
    r"#!/bin/sh|\"\$@\"|<<'|&& |2>&1|>/dev/null|\bmkdir -p|\bchmod [0-7]|\brm -[rf]|\bmv -f|\bcat >|\bset -e\b|\bcurl -"
    r"|\b(?:ssh|scp|sudo|iconv) (?:-|$|\{)|\bmodelprep (?:[a-z]+ )+(?:--[a-z]+ )?$|--set $|--out $"
)
BITBAKE = re.compile(
    r"\bSRC_URI|\bFILES|\bRDEPENDS|\bLIC|\bdo_[a-z]+\b|\?\?= |\?= [\"']|^[A-Z_]+(?:\[.*\])? = |\$\{[A-Z]+\}"
)
#: Functions whose results may stand in such text.
NAMES = {
    "sh", "command", "operand", "bitbake", "bitbake_prose", "bitbake_sh", "bitbake_path", "bitbake_item", "sums_line",
    "script_line", "install_command",
}  # fmt: skip
#: (module, expression) -> why it may stand there as it is.
KNOWN = {
    ("modelprep/deliver/board_scripts.py", "' '.join(TOOLS)"): "names of programs, written in the module",
    ("modelprep/deliver/board_scripts.py", "STAGING"): "a name written in the module",
    ("modelprep/deliver/board_scripts.py", "MANIFEST"): "a name written in the code base",
    ("modelprep/deliver/yocto.py", "' '.join(family)"): "names of releases, checked against a pattern",
    ("modelprep/deliver/yocto.py", "mark"): "one of two characters",
    ("modelprep/deliver/yocto.py", "number"): "a number",
    ("modelprep/deliver/yocto.py", "_FILES"): "a constant",
    ("modelprep/deliver/yocto.py", "LICENCES"): "a constant",
    ("modelprep/deliver/yocto.py", "digest"): "hexadecimal digits",
    ("modelprep/deliver/yocto.py", "mode"): "one of two numbers",
    ("modelprep/deliver/yocto.py", "target"): "a constant",
    ("modelprep/deliver/yocto.py", "place"): "made by bitbake_path a line above",
    ("modelprep/tree/runtests.py", "called"): "made by command above",
    ("modelprep/tree/runtests.py", "number"): "a number",
    ("modelprep/tree/runtests.py", "assigned"): "made by sh above",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path != WRITERS and "_recipes" not in path.parts:
            name = path.relative_to(PACKAGE.parent).as_posix()
            yield name, ast.parse(path.read_text("utf-8"), name)


def is_written(node: ast.expr) -> bool:
    """Whether an expression is the result of a writer, or many of them joined."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "join" and node.args:
            inner = node.args[0]
            return is_written(inner.elt) if isinstance(inner, (ast.GeneratorExp, ast.ListComp)) else False
        return name in NAMES
    if isinstance(node, ast.IfExp):
        return is_written(node.body) and is_written(node.orelse)
    return isinstance(node, ast.Constant)


def built(tree: ast.Module) -> Iterator[tuple[int, str, list[ast.expr]]]:
    """Every text that is put together: its line, its constant parts, and what is put in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text, values = "", []
            for part in node.values:
                if isinstance(part, ast.Constant):
                    text += str(part.value)
                    continue
                assert isinstance(part, ast.FormattedValue)
                values.append((text, part.value))
                text += "\0"
            # What stands right before a value says more than the whole: `modelprep fetch {...}`.
            yield node.lineno, text, [value for _, value in values]
            for before, value in values:
                yield node.lineno, before.rpartition("\0")[2], [value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            if isinstance(node.func.value, ast.Constant):
                yield node.lineno, str(node.func.value.value), [*node.args, *(each.value for each in node.keywords)]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
            yield node.lineno, str(node.left.value), [node.right]


def spliced(name: str, tree: ast.Module) -> list[str]:
    found = []
    for line, text, values in built(tree):
        if not (SHELL.search(text) or BITBAKE.search(text)):
            continue
        for value in values:
            expression = ast.unparse(value)
            if not is_written(value) and (name, expression) not in KNOWN:
                found.append(f"{name}:{line}: {expression} in {text.strip()[:60]!r}")
    return found


def test_no_module_builds_shell_or_bitbake_text_of_its_own() -> None:
    wrong = [each for name, tree in modules() for each in spliced(name, tree)]
    assert not wrong, "\n".join(dict.fromkeys(wrong))


@pytest.mark.parametrize(
    "code",
    [
        'x = f"mkdir -p {folder}"',
        "x = f\"cat >{name} <<'end'\"",
        'x = "rm -rf %s" % folder',
        'x = "cd {} && ls".format(folder)',
        "x = f'SRC_URI = \"{url}\"'",
        'hint = f"modelprep fetch {name}"',
        'hint = f"modelprep fetch {sh(name)} --out {out}"',
    ],
)
def test_the_scan_sees_what_it_is_to_see(code: str) -> None:
    assert spliced("modelprep/x.py", ast.parse(code))
    safe = re.sub(r"\{(folder|name|url|out)\}", r"{sh(\1)}", code).replace("% folder", "% sh(folder)")
    assert not spliced("modelprep/x.py", ast.parse(safe.replace("format(folder)", "format(sh(folder))")))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_libraries_that_quote_are_used_in_one_place() -> None:
    # Splitting the user's own --ssh, or a command of ours to see its options, is reading, not writing.
    allowed = {("modelprep/deliver/remote.py", "shlex"), ("modelprep/api/again.py", "shlex")}
    wrong = [
        f"{name} imports {what}"
        for name, tree in modules()
        for what in imported(tree)
        if what in ("shlex", "html.escape", "html", "pipes") and (name, what) not in allowed
    ]
    assert not wrong


def test_the_raw_text_of_a_url_is_released_to_few() -> None:
    allowed = {
        "modelprep/audit/exchange.py",  # the request
        "modelprep/fetch/transport.py",  # the request
        "modelprep/fetch/connections.py",  # its redirects, credentials of netrc and proxies
        "modelprep/fetch/share.py",  # another form of the same address
        "modelprep/fetch/urls.py",  # takes URLs apart and gives URLs
        "modelprep/pipeline/exporting.py",  # a URL that is known to be public
        "modelprep/recipe/local.py",  # the file that a file: URL names
        "modelprep/recipe/packed.py",  # URLs without secrets
        "modelprep/url.py",
    }
    found = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    }
    assert found <= allowed, found - allowed
