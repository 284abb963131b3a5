"""docs/python.md is run as it stands, block after block, and prints what it says it prints."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cli.workshop import REPOSITORY, Workshop
from servers.http import FaultServer
from servers.sshd import BoardServer, missing

import modelprep

PAGE = (REPOSITORY / "docs" / "python.md").read_text("utf-8")
#: Each block of code with the line it begins in, and the block of text behind it that says what it prints.
BLOCKS = [
    (PAGE.count("\n", 0, match.start(1)) + 1, match[1], match[2])
    for match in re.finditer(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", PAGE, re.DOTALL | re.MULTILINE)
]


@dataclass
class Reader:
    """Somebody who types one block after the other into one Python."""

    board: str
    names: dict[str, object] = field(default_factory=dict)
    printed: list[str] = field(default_factory=list)

    def type(self, number: int) -> str:
        """Run a block, and those before it that have not been run; give what it prints."""
        while len(self.printed) <= number:
            line, code, _ = BLOCKS[len(self.printed)]
            said = io.StringIO()
            if not (self.board and "deploy" in code):
                # Errors name the line of the page.
                compiled = compile("\n" * line + code, "docs/python.md", "exec")
                with contextlib.redirect_stdout(said):
                    try:
                        exec(compiled, self.names)
                    except SystemExit as end:
                        assert end.code == 0  # noqa: PT017
            self.printed.append(said.getvalue())
        return self.printed[number]


@pytest.fixture(scope="module")
def reader(
    tmp_path_factory: pytest.TempPathFactory, standin: tuple[Path, Path], patch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    """Yield somebody with a mirror, a board, and a folder of recipes of his own."""
    for name in ("onnxruntime", "ai_edge_litert"):
        pytest.importorskip(name, reason="the page's checks run models")
    folder = tmp_path_factory.mktemp("page")
    (folder / "mirror").symlink_to(standin[0])
    patch.chdir(folder)
    patch.setenv("MODELPREP_RECIPES", str(standin[1]))
    patch.setenv("MODELPREP_CACHE", str(folder / "cache"))
    patch.setenv("NO_PROXY", "*")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(FaultServer())
        own = Workshop(folder / "elsewhere", server)
        gone = server.put("/gone.bin", b"a logo", status=404)
        own.simple("logo", b"a logo", urls=f"{gone}, {server.put('/logo.bin', b'a logo')}")
        text = (own.recipes / "things" / "logo.yaml").read_text().replace("logo-file", "logo")
        (folder / "my-recipes" / "mine").mkdir(parents=True)
        (folder / "my-recipes" / "mine" / "logo.yaml").write_text(text)
        if not (why := missing()):
            board = BoardServer(folder / "sshd", rsync=False, tar=True, sftp=False)
            stack.callback(board.stop)
            test = board.root / "bin" / "OnnxMnist-Armnn"
            test.write_text('#!/bin/sh\n[ -s models/mnist_onnx.onnx ] && echo "Overall accuracy: 1.000 ($*)"\n')
            test.chmod(0o755)
            patch.setenv("MODELPREP_SSH", board.ssh)
        yield Reader(why)


def test_the_page_has_its_blocks() -> None:
    assert len(BLOCKS) == PAGE.count("```python\n") >= 14
    assert sum(shown is not None for _, _, shown in BLOCKS) == PAGE.count("```text\n") >= 11


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[f"line-{line}" for line, _, _ in BLOCKS])
def test_a_block_runs_and_prints_what_the_page_shows(reader: Reader, number: int) -> None:
    _, code, shown = BLOCKS[number]
    if reader.board and "deploy" in code:
        reader.type(number)
        pytest.skip(reader.board)
    # A terminal shows of a line what was written over it last.
    said = re.sub(r"[^\n]*\r", "", reader.type(number))
    said = "".join(f"{line.rstrip()}\n" for line in said.splitlines())
    flags = doctest.ELLIPSIS
    same = doctest.OutputChecker().check_output(shown or "", said, flags)
    assert same, f"the page shows:\n{shown}\nand this was printed:\n{said}"


@pytest.mark.slow
@pytest.mark.slow
def test_the_blocks_hold_to_their_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="the examples are held to the types")
    program = tmp_path / "page.py"
    # Names may mean something else in a later block, as they do where one types.
    program.write_text("".join(code for _, code, _ in BLOCKS))
    command = [sys.executable, "-m", "mypy", "--strict", "--allow-redefinition", "--follow-imports=silent"]
    ran = subprocess.run(
        [*command, "--config-file=", f"--cache-dir={tmp_path}/cache", str(program)],
        capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout


def test_the_page_names_every_verb_with_what_it_gives() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", PAGE, re.MULTILINE)
    table = {name: gives for name, gives in rows if name in modelprep.__all__ and name.islower()}
    verbs = {name for name in modelprep.__all__ if inspect.isfunction(getattr(modelprep, name))}
    assert set(table) == verbs
    for name, gives in table.items():
        kind = inspect.signature(getattr(modelprep, name)).return_annotation
        named = re.search(r"`(\w+)`", gives)
        assert named is not None
        assert named[1] == re.sub(r"^tuple\[(\w+), \.\.\.\]$|^(dict)\[.*$", lambda m: m[1] or m[2], kind)
        assert ("tuple of" in gives) == kind.startswith("tuple")
        home = re.search(r"from `([\w.]+)`$", gives)
        if home is not None:
            assert hasattr(importlib.import_module(home[1]), named[1])
        else:
            assert named[1] in ("str", "dict", *modelprep.__all__)


def test_the_page_names_every_error_with_its_exit_code() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| (\d+) \|$", PAGE, re.MULTILINE))
    errors = {
        each.__name__: str(each.exit_code)
        for each in vars(modelprep.errors).values()
        if isinstance(each, type)
        and issubclass(each, modelprep.ModelprepError)
        and each is not modelprep.ModelprepError
    }
    assert rows == errors
