"""Findings of lint: a rule, a place, the effect on the board, and the command that fixes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelprep.targets.armnn.network import Stop
from modelprep.targets.armnn_rules import SERIOUS, Effect, rules


@dataclass(frozen=True, slots=True)  # a broken model has hundreds of thousands
class Finding:
    """One finding about a model.

    Parameters
    ----------
    rule, where, detail
        Id in :mod:`modelprep.targets.armnn_rules`; layer, node, tensor or file; what was found there.
    message, effect_here
        The board's message and the effect, if they differ from the rule's (which may crash in one form only).
    status
        Exit status of the program if this finding ends it; None if it only explains.
    running
        Whether it shows only when the first test case is run, after its data were read.
    fix
        The command that fixes it, if it differs from the rule's; empty if the rule's does not fix this model.
    """

    rule: str
    where: str
    detail: str = ""
    message: str = ""
    effect_here: Effect | None = None
    status: int | None = None
    running: bool = False
    fix: str | None = None

    @property
    def effect(self) -> Effect:
        """``reject``, ``wrong``, ``crash``, ``ignored`` or ``note``."""
        return self.effect_here or rules()[self.rule].effect

    @property
    def serious(self) -> bool:
        """Whether it may keep a test from passing."""
        return self.effect in SERIOUS

    @property
    def prints(self) -> str:
        """What the board prints, empty if it prints nothing."""
        return self.message if self.message or self.status is not None else rules()[self.rule].message

    @property
    def mend(self) -> str:
        """The command that fixes it; empty if there is none."""
        return rules()[self.rule].mend if self.fix is None else self.fix

    @property
    def what(self) -> str:
        """The rule's sentence, with the detail or else the board's message."""
        extra, says = self.detail or self.message, rules()[self.rule].says
        return f"{says} ({extra})" if extra else says

    def to_json(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "rule": self.rule,
            "effect": self.effect,
            "where": self.where,
            "says": rules()[self.rule].says,
            "detail": self.detail,
            "prints": self.prints,
            "mend": self.mend,
            "exit_status": self.status,
        }

    def __str__(self) -> str:
        text = f"{self.rule} {self.where}: {rules()[self.rule].says}"
        return f"{text} ({self.detail})" if self.detail else text


def findings_of(stops: Sequence[Stop], program: str) -> list[Finding]:
    """Return the findings for the places where Arm NN stops: the first ends the program, the others only explain.

    `stops`: in the parser's order. `program`: name of the test program, for its messages.
    """

    def finding(number: int, stop: Stop) -> Finding:
        status = None if number else stop.status
        if stop.speaker == "signal":
            return Finding(stop.rule, stop.where, stop.message, "", "crash", status, stop.running)
        text = "\n".join(line.removeprefix("Armnn Error: ") for line in stop.said(program))
        return Finding(stop.rule, stop.where, "", text, "reject", status, stop.running)

    return [finding(number, stop) for number, stop in enumerate(stops)]
