"""The board's reaction to a model, found by simulating its parser, and the findings that explain it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelprep.check.lint.findings import Finding
from modelprep.check.lint.request import Asked, Parser, binding
from modelprep.targets.armnn.network import Network, Stop
from modelprep.targets.armnn.program import PARSERS, walk

_REFUSED = ("reject", "crash")


@dataclass(frozen=True)
class Examined:
    """What is known of a model before it is run.

    `findings`: what the board stops at comes first, then the others, worst first. `network`: what the parser builds,
    loaded; None if it stops before, or is not acted out.
    """

    findings: tuple[Finding, ...]
    network: Network | None = None


@dataclass(frozen=True)
class Walked:
    """Where a parser stops; see :func:`modelprep.targets.armnn.program.walk`."""

    path: Path
    parser: Parser
    program: str
    network: Network | None
    stop: Stop | None

    def explained(self, found: Sequence[Finding]) -> Examined:
        """Append the findings of the tables to the one where the board stops.

        `found`: by rule, worst first. Where the board takes the model, what they refuse is left out.
        """
        if self.stop is None:
            return Examined(tuple(f for f in found if f.effect not in _REFUSED), self.network)
        first = self._decisive(self.stop, found)
        rest = (f for f in found if (f.rule, f.where) != (first.rule, first.where))
        return Examined((first, *rest), self.network)

    def _decisive(self, stop: Stop, found: Sequence[Finding]) -> Finding:
        where = stop.where
        if self.parser == "caffe" and "'" not in where and where not in ("file", "net", "input"):
            where = f"layer '{where}'"
        of_file = next((f for f in found if f.where in (self.path.name, "file")), None)
        if of_file is not None:
            rule, where, detail = of_file.rule, of_file.where, of_file.detail
        else:
            same = next((f for f in found if f.where == where and f.effect in (*_REFUSED, "wrong")), None)
            rule = same.rule if same is not None and stop.rule == "C3" else stop.rule
            detail = next((f.detail for f in found if f.where == where and f.rule == rule), "")
        fix = next((f.fix for f in found if f.rule == rule), None)
        lines = stop.said(self.program)
        message = lines[0].removeprefix("Armnn Error: ") if lines else ""
        effect = "crash" if stop.speaker == "signal" else "reject"
        return Finding(rule, where, detail, message, effect, stop.status, stop.running, fix)  # type: ignore[arg-type]


def act_out(path: Path, parser: Parser, asked: Asked) -> Walked | None:
    """Simulate a test's parser on a model; None without a test, or if its parser is not simulated."""
    if parser not in PARSERS or not asked.outputs or not asked.input_name:
        return None
    return Walked(path, parser, asked.program, *walk(path, parser, binding(asked)))
