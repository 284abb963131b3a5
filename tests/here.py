"""Run the command within the process of the tests: a start of Python is spared, and only signals and pipes differ."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path


def run_here(arguments: list[str], cwd: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run one command line with a folder and an environment of its own.

    Returns
    -------
    tuple
        Exit status, what it wrote to stdout, what to stderr.
    """
    from modelprep.cli.main import invoke

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before, mine = Path.cwd(), dict(os.environ)
    os.chdir(cwd)
    try:
        _environment(environment)
        with redirect_stdout(out), redirect_stderr(err):
            code = invoke(arguments)
    finally:
        os.chdir(before)
        _environment(mine)
    told = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return code, told[0], told[1]


def _environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)
