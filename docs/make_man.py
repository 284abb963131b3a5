"""Write docs/man/modelprep.1 from the commands: ``python docs/make_man.py``; ``--check`` only compares.

The page is generated from the parsers that read the command line. It is kept in the repository because building it with
the wheel would need everything that the command needs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from modelprep.cli.commands import COMMANDS, app

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "man" / "modelprep.1"

#: Variables that modelprep reads, and their meaning.
ENVIRONMENT = {
    "MODELPREP_CACHE": "The cache, if --cache is not given.",
    "MODELPREP_RECIPES": "Your own folders of recipes, separated by colons; --recipes adds more.",
    "MODELPREP_PYARMNN": "A Python interpreter that has pyarmnn (Debian's python3-pyarmnn): check then runs TensorFlow "
    "Lite models with a real Arm NN.",
    "MODELPREP_PYCAFFE": "A Python interpreter that has pycaffe: caffe bake --compare runs it.",
    "MODELPREP_SSH": "The ssh command with options that deploy calls instead of ssh.",
    "MODELPREP_VELA": "The Vela compiler that tflite vela and the step tflite.vela run, if it is not on PATH.",
    "MODELPREP_ONNX2TF": "The program onnx2tf that the step onnx.to_tflite runs, if it is not on PATH.",
    "MODELPREP_QUANTIZER": "A Python interpreter that has ai-edge-quantizer, which the step tflite.quantise runs.",
    "MODELPREP_REMOTE_CACHE": "A cache shared with other machines, if --remote-cache is not given.",
    "MODELPREP_REMOTE_CACHE_TOKEN": "A bearer token for that cache.",
    "NO_COLOR": "No colors, even on a terminal.",
    "HTTPS_PROXY, HTTP_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE": "As for every program that uses requests.",
}
FILES = {
    "out/": "Where the finished trees go (--out); each contains MANIFEST.json, SHA256SUMS and run-tests.sh.",
    "out/modelprep.lock": "Checksums of files without a published one, recorded at the first download (--lockfile).",
    "~/.cache/modelprep": "The cache of downloads and conversions (--cache); in a checkout its folder cache/.",
}
EXAMPLES = (
    ("modelprep fetch armnn-caffe", "prepare a group of demos"),
    ("modelprep fetch all --dry-run", "say show what would be downloaded, and download nothing"),
    ("modelprep check armnn-caffe --html report.html", "will the tests pass on the board?"),
    ("modelprep deploy armnn-caffe root@imx8 --run", "copy what differs, run the tests there"),
    (
        "modelprep caffe bake deploy.prototxt net.caffemodel -o net_1.caffemodel",
        "re-save a model of your own at batch 1",
    ),
)


def escaped(text: str) -> str:
    r"""Escape text for roff: backslashes, hyphens, and dots that begin a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.splitlines())


def paragraphs(text: str) -> Iterator[str]:
    """Yield a docstring's paragraphs as roff; lines that are indented or marked with a backspace stay as they are."""
    for number, part in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        lines = part.splitlines()
        if part.startswith("\b") or all(line.startswith("    ") for line in lines):
            yield f".nf\n{escaped(part.lstrip(chr(8) + chr(10)))}\n.fi"
        else:
            yield escaped(" ".join(part.split()))


def usage(path: str, command: Any) -> str:
    """Return the line that says how a command is called."""
    words = [f"\\fB{escaped(path)}\\fR"]
    if any(not is_argument(one) for one in command.params):
        words.append("[\\fIoptions\\fR]")
    words += [escaped(metavar(one)) for one in command.params if is_argument(one)]
    return " ".join(words)


def is_argument(parameter: Any) -> bool:
    """Say whether a parameter is positional."""
    return str(parameter.param_type_name) == "argument"


def metavar(parameter: Any) -> str:
    """Return the placeholder of a parameter's value."""
    return str(parameter.metavar or parameter.name.upper())


def entry(parameter: Any) -> Iterator[str]:
    """Yield one parameter with its help."""
    if is_argument(parameter):
        yield f".TP\n{escaped(metavar(parameter))}"
    else:
        value = "" if parameter.is_flag or parameter.count else f" \\fI{escaped(metavar(parameter))}\\fR"
        names = [*sorted(parameter.opts, key=len), *parameter.secondary_opts]
        yield ".TP\n" + ", ".join(f"\\fB{escaped(name)}\\fR" for name in names) + value
    default = parameter.default
    shown = isinstance(default, (str, int, float, Path)) and not isinstance(default, bool) and default != ""
    given = f" (default: {default})" if shown and "default" not in (parameter.help or "") else ""
    yield escaped((parameter.help or "").strip() + given) or "\\&"


def section(path: str, command: Any) -> Iterator[str]:
    """Yield the section of one command, and of the commands below it."""
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from section(f"{path} {name}", command.get_command(context, name))
        return
    yield f".SS {escaped(path)}"
    yield usage(f"modelprep {path}", command)
    yield ".PP"
    yield from paragraphs(command.help or "")
    for parameter in command.params:
        if parameter.name != "help" and not getattr(parameter, "hidden", False):
            yield from entry(parameter)


def exit_codes() -> Iterator[str]:
    """Yield the exit codes, from the table in commands.md that the tests check against the code."""
    text = (DOCS / "commands.md").read_text("utf-8")
    for code, meaning in re.findall(r"^\| (\d+) \| (.*) \|$", text[text.index("## Exit statuses") :], re.MULTILINE):
        yield f".TP\n.B {code}\n{escaped(meaning)}"


def render() -> str:
    """Return the page's text."""
    group = typer.main.get_command(app)
    context = typer.Context(group)
    lines = [
        '.\\" Made by: python docs/make_man.py. Do not edit; edit the commands.',
        '.TH MODELPREP 1 "" modelprep "User Commands"',
        # Names of commands and files are not to be broken, nor lines stretched.
        ".nh",
        ".ad l",
        ".SH NAME",
        "modelprep \\- fetch and convert the model assets that embedded ML demos need",
        ".SH SYNOPSIS",
        "\\fBmodelprep\\fR \\fIcommand\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]",
        ".SH DESCRIPTION",
        *paragraphs(
            "Recipes in, a board-ready folder out: each demo of the eIQ manual has a recipe that says where its models "
            "and pictures come from, how they are converted, and the names that the test program expects.\n\n"
            "A TARGET is a group (armnn-caffe), a recipe (armnn-caffe/mnist, with a variant "
            "armnn-tf/inception-v3@frozen), a demo's own name (CaffeMnist-Armnn), a path to a recipe file, or 'all'."
            "\n\nResults go to standard output, everything else to standard error. With --json a command prints one "
            "object, or one event a line while it works."
        ),
        ".SH COMMANDS",
    ]
    for name in COMMANDS:
        lines += section(name, group.get_command(context, name))  # type: ignore[attr-defined]
    lines += [".SH EXIT STATUS", *exit_codes(), ".SH ENVIRONMENT"]
    lines += [f".TP\n.B {escaped(name)}\n{escaped(says)}" for name, says in ENVIRONMENT.items()]
    lines += [".SH FILES", *(f".TP\n.I {escaped(name)}\n{escaped(says)}" for name, says in FILES.items())]
    lines += [".SH EXAMPLES", *(f".TP\n{escaped(command)}\n{escaped(says)}" for command, says in EXAMPLES)]
    lines += [".SH SEE ALSO", ".BR ssh (1),", ".BR sha256sum (1)"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or with ``--check`` say whether it is up to date."""
    text = render()
    if "--check" in sys.argv[1:]:
        return int(not PAGE.is_file() or PAGE.read_text("utf-8") != text)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
