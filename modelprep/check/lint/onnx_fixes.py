"""Find the call of ``onnx fix`` that fixes a finding, by trying it on the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelprep.check.lint.findings import Finding

_FIX = "modelprep onnx fix MODEL -o OUT"
#: Rules that one of the calls may fix, if the rule's own command does not or there is none.
_RULES = frozenset({"ON01", "ON02", "ON03", "ON05", "ON09", "ON10"})


@dataclass
class Tried:
    """The calls tried on a model."""

    path: Path
    target: str
    rules_of: Callable[[Path], set[str]]
    _left: dict[str, set[str] | None] = field(default_factory=dict)

    def fix(self, finding: Finding) -> str:
        """Return the call that fixes the finding's rule and leaves the fewest others; empty if none does."""
        if finding.rule not in _RULES:
            return finding.mend
        ways: dict[str, dict[str, object]] = {
            f"--for {self.target}": {"target": self.target},
            f"--batch 1 --for {self.target}": {"batch": 1, "target": self.target},
        }
        own = finding.mend.removeprefix(f"{_FIX} ")
        if own == "--batch 1":
            ways = {own: {"batch": 1}, **ways}
        fitting = []
        for text, params in ways.items():
            if text not in self._left:
                self._left[text] = self._leaves(params)
            if (left := self._left[text]) is not None and finding.rule not in left:
                fitting.append((len(left), text))
                if not left:
                    break
        return f"{_FIX} {min(fitting, key=lambda one: one[0])[1]}" if fitting else ""

    def _leaves(self, given: Mapping[str, object]) -> set[str] | None:
        """Return the rules that the result violates; None if the call is refused."""
        from tempfile import TemporaryDirectory

        from modelprep.errors import ModelprepError
        from modelprep.formats.onnx.model import files_beside
        from modelprep.steps import Call, find

        step = find("onnx.fix")
        try:
            params = {"model": self.path, "external": files_beside(self.path), **given}
            filled = {name: params.get(name, param.default) for name, param in step.params.items()}
            with TemporaryDirectory() as folder:
                made = Path(folder) / "fixed.onnx"
                step.run(Call(filled, made, warn=lambda _: None))
                return self.rules_of(made)
        except ModelprepError:
            return None
