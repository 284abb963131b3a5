"""Where a board's parser stops at a model, found by simulating the parser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelprep.check.lint.findings import Finding
from modelprep.check.lint.request import Asked, Parser, binding
from modelprep.targets.armnn.network import Network, Stop
from modelprep.targets.armnn.program import PARSERS, walk
from modelprep.targets.armnn_rules import Effect

REFUSED: tuple[Effect, ...] = ("reject", "crash")


@dataclass(frozen=True)
class Examined:
    """What is known of a model before it is run.

    `findings`: the one at which the board stops first, then the others, worst first. `network`: the parser's network,
    loaded; None if the parser stops before, or is not simulated.
    """

    findings: tuple[Finding, ...]
    network: Network | None = None


def act_out(path: Path, parser: Parser, asked: Asked) -> tuple[Network | None, Stop | None] | None:
    """Simulate a test's parser on a model: its network, and where it stops.

    Returns None without a test, or if the parser is not simulated.
    """
    if parser not in PARSERS or not asked.outputs or not asked.input_name:
        return None
    return walk(path, parser, binding(asked))


def decisive(stop: Stop, path: Path, parser: Parser, asked: Asked, found: Sequence[Finding]) -> Finding:
    """Return the finding at which the board stops, with the rule and the detail of those in `found` that explain it."""
    where = stop.where
    if parser == "caffe" and "'" not in where and where not in ("file", "net", "input"):
        where = f"layer '{where}'"
    of_file = next((f for f in found if f.where in (path.name, "file")), None)
    if of_file is not None:
        rule, where, detail = of_file.rule, of_file.where, of_file.detail
    else:
        same = next((f for f in found if f.where == where and f.effect in (*REFUSED, "wrong")), None)
        rule = same.rule if same is not None and stop.rule == "C3" else stop.rule
        detail = next((f.detail for f in found if f.where == where and f.rule == rule), "")
    fix = next((f.fix for f in found if f.rule == rule), None)
    message = next(iter(stop.said(asked.program)), "").removeprefix("Armnn Error: ")
    effect: Effect = "crash" if stop.speaker == "signal" else "reject"
    return Finding(rule, where, detail, message, effect, stop.status, stop.running, fix)
