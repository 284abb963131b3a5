"""The commands, and the parsing of most command lines without typer, whose import takes longer than the command.

Only valid lines are parsed here (:mod:`modelprep.cli.reading`). All others (help, completion, errors) are passed to
typer unchanged.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `--version` must not import `typing`
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The commands, in the order of ``--help``, each with its purpose. ``modelprep NAME`` is ``modelprep/cli/NAME.py``.
COMMANDS: Mapping[str, str] = {
    "fetch": "Prepare demos: download, verify, convert, install.",
    "list": "Every demo with its status, size and licence.",
    "show": "One recipe: sources, checksums, steps, files, the command for the board.",
    "check": "Say whether the board's tests will pass, and why not.",
    "deploy": "Copy finished demos to a board over ssh.",
    "bundle": "Pack finished demos into one reproducible archive.",
    "mirror": "Write a static mirror of what recipes download.",
    "export": "Write recipes for another build system (Yocto).",
    "audit": "Check that the sources still work and serve the same files.",
    "cache": "The cache: info, verify, gc, key.",
    "recipe": "Write and check recipes: new, lint, schema, pin.",
    "steps": "The conversion steps that recipes use, and their parameters.",
    "inspect": "Show what is in a model file, whatever its format.",
    "caffe": "Caffe models: bake, inspect, to-npy.",
    "tf": "TensorFlow graphs: freeze, legalise, to-onnx, rename-io, inspect.",
    "tflite": "TensorFlow Lite models: rename-io, vela, inspect.",
    "onnx": "ONNX models: fix, rename-io, inspect.",
    "idx": "Idx files (MNIST): info, unpack.",
    "bsp": "i.MX Linux releases and their contents: list, show.",
    "lint": "Say whether a board's parser accepts a model.",
    "doctor": "Check extras, tools, free space and mirrors.",
}


def run(words: Sequence[str]) -> int | None:
    """Run a command line and return the exit status; None if typer has to parse it."""
    if "_MODELPREP_COMPLETE" in os.environ or not words:
        return None
    if words in (["--version"], ["-V"]):
        from modelprep.version import __version__

        sys.stdout.write(f"modelprep {__version__}\n")
        return 0
    if words[0] not in COMMANDS:
        return None
    from importlib import import_module
    from importlib.util import find_spec

    name = f"modelprep.cli.{words[0]}"
    command = getattr(import_module(name), "command", None) if find_spec(name) is not None else None
    if command is None:
        return None
    from modelprep.cli import frame
    from modelprep.cli.parameters import PRINTING
    from modelprep.cli.reading import read

    given = read([*command.parameters, *PRINTING], words[1:])
    if given is None:
        return None
    return frame.perform(command.run, words, given, **{each.name: given.pop(each.name) for each in PRINTING})
