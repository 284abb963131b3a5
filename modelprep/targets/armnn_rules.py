"""The rules of Arm NN's model parsers, from ``armnn_rules.tsv``: what each makes of a model, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

Effect = Literal["reject", "wrong", "crash", "ignored", "note"]
#: Effects that keep a test from passing (``wrong`` may, so it counts).
SERIOUS: tuple[Effect, ...] = ("reject", "wrong", "crash")

_PARSERS = {"CF": "caffe", "TF": "tf", "TL": "tflite", "ON": "onnx", "C": "any", "EU": "ethos-u"}


@dataclass(frozen=True)
class Rule:
    """One thing a parser does.

    `id`: ``CF02``; the letters name the parser. `about`: layer, operation or part of the file. `message`: a stable part
    of what the board prints, empty if it prints nothing. `mend`: the command that fixes it; empty if there is none.
    Words in capitals stand for the file (``MODEL``), the result (``OUT``), a deploy file (``DEPLOY``), a checkpoint,
    and the names asked for (``INPUT``, ``OUTPUT``).
    """

    id: str
    effect: Effect
    about: str
    says: str
    message: str = ""
    mend: str = ""

    @property
    def parser(self) -> str:
        """``caffe``, ``tf``, ``tflite``, ``onnx`` or ``any``; ``ethos-u`` of the NPU's compiler."""
        return _PARSERS[self.id.rstrip("0123456789")]

    @property
    def sentence(self) -> str:
        """The rule, with what the board prints."""
        return f"{self.says} ('{self.message}')" if self.message else self.says


@cache
def rules() -> Mapping[str, Rule]:
    """Return all rules by id, in the order of the table."""
    text = resources.files("modelprep.targets").joinpath("armnn_rules.tsv").read_text("utf-8")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            number, effect, about, says, message, mend = (line + "\t\t").split("\t")[:6]
            found[number] = Rule(number, cast(Effect, effect), about, says, message, mend)
    return found
