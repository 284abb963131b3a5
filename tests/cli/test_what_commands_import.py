"""What each command imports beside plain parts of the standard library: nobody waits for what is not used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY, Workshop

CODE = """
import io, sys
from modelprep.cli.main import invoke
before, out = set(sys.modules), sys.stdout
sys.stdout = io.StringIO()
status = invoke(sys.argv[1:])
print(status, *sorted({name.partition(".")[0] for name in sys.modules}), file=out)
"""
#: Parts of the standard library that take a millisecond or more, or bring others along.
HEAVY = {
    "argparse", "ast", "asyncio", "concurrent", "csv", "ctypes", "dataclasses", "decimal", "difflib", "dis", "email",
    "html", "http", "inspect", "logging", "multiprocessing", "pickle", "platform", "sqlite3", "socket", "ssl",
    "subprocess", "tarfile", "tempfile", "textwrap", "traceback", "unittest", "uuid", "xml", "zipfile",
}  # fmt: skip
#: Modules that a site's own start-up files bring.
FROM_SITE = {"__main__", "_distutils_hack", "coverage", "modelprep", "sitecustomize", "usercustomize"}
YAML = {"yaml", "_cython_3_3_1", "cython_runtime"}
TYPER = {"typer", "click", "annotated_doc", "shellingham", "colorama"}
TYPER_NEEDS = {"ast", "difflib", "dis", "inspect", "platform", "subprocess", "textwrap", "traceback", "uuid"}
#: What looks for installed packages: plug-ins have steps, too.
METADATA = {"csv", "email", "socket", "subprocess", "tempfile", "textwrap", "zipfile"}


def imported(*words: str) -> set[str]:
    """Return the modules outside the plain parts of the standard library that a command has imported when it ends."""
    ran = subprocess.run(
        [sys.executable, "-c", CODE, *words], capture_output=True, text=True, cwd=REPOSITORY, check=True, timeout=60
    )
    status, *names = ran.stdout.split()
    assert status == "0", ran.stderr
    known = sys.stdlib_module_names - HEAVY
    return {each for each in names if each not in known and each not in FROM_SITE and not each.startswith("_cython")}


CASES: list[tuple[tuple[str, ...], set[str], set[str]]] = [
    # what the first run may import, whose recipes are still to be parsed, and what each further one
    (("--version",), set(), set()),
    (("list", "things"), YAML, set()),
    (("list", "all"), YAML, set()),
    (("fetch", "things", "--dry-run"), YAML, set()),
    (("fetch", "things", "-q"), YAML, set()),
    (("show", "things/a"), YAML | {"tempfile"}, {"tempfile"}),
    (("steps",), METADATA, METADATA),
    (("list", "--help"), TYPER | TYPER_NEEDS, TYPER | TYPER_NEEDS),
]


@pytest.mark.parametrize(("words", "first", "again"), CASES, ids=[" ".join(words) for words, _, _ in CASES])
def test_a_command_imports_what_it_uses(
    workshop: Workshop, words: tuple[str, ...], first: set[str], again: set[str]
) -> None:
    data = workshop.recipes / "things/a.bin"
    data.write_bytes(b"a")
    workshop.simple("a", b"a", urls=data.as_uri())
    workshop.cache.mkdir()
    plain = words[0] in ("--version", "steps") or "--help" in words
    command = words if plain else tuple(workshop.arguments(words[0], *words[1:]))
    assert imported(*command) - first == set()
    if words[0] == "fetch" and "-q" in words:
        assert Path(workshop.out / "Things/data/a.bin").read_bytes() == b"a"
    import time

    time.sleep(0.1)  # until the recipe has not changed for so long that it is noted
    imported(*command)
    assert imported(*command) - again == set()
