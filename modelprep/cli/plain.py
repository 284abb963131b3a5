"""The commands, and how most command lines are read: without typer, which takes longer to import than they to run.

Only a line that is plainly right is read so (:mod:`modelprep.cli.reading`). Every other (help, completion, any mistake)
goes to typer as it stands, which tells what there is to tell.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `--version` shall not wait for `typing`
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The commands, in the order of ``--help``, each with what it is for. ``modelprep NAME`` is ``modelprep/cli/NAME.py``.
COMMANDS: Mapping[str, str] = {
    "fetch": "Prepare demos: download, verify, convert, install.",
    "list": "Every demo with its status, size and licence.",
    "show": "One recipe: sources, digests, steps, files, the command for the board.",
    "check": "Say whether the board's tests will pass, and why not.",
    "deploy": "Copy finished demos to a board over ssh.",
    "bundle": "Pack finished demos into one reproducible archive.",
    "mirror": "Write a static mirror of what recipes download.",
    "export": "Write recipes for another build system (Yocto).",
    "audit": "Are the sources alive, and still the same files?",
    "cache": "The store: info, verify, gc, key.",
    "recipe": "Write and check recipes: new, lint, schema, pin.",
    "steps": "The conversion steps that recipes use, and their parameters.",
    "inspect": "Show what is in a model file, whatever its format.",
    "caffe": "Caffe models: bake, inspect, to-npy.",
    "tf": "TensorFlow graphs: freeze, legalise, to-onnx, rename-io, inspect.",
    "tflite": "TensorFlow Lite models: rename-io, vela, inspect.",
    "onnx": "ONNX models: fix, rename-io, inspect.",
    "idx": "Idx files (MNIST): info, unpack.",
    "bsp": "i.MX Linux releases and what each holds: list, show.",
    "lint": "Say what a board's parser will make of a model.",
    "doctor": "Which extras, tools, space and mirrors there are.",
}


def run(words: Sequence[str]) -> int | None:
    """Do what a command line says, and return the exit status; None if typer has to look at it first."""
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
