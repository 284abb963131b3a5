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
    rule
        Id in :mod:`modelprep.targets.armnn_rules`.
    where
        Layer, node, tensor or file.
    detail
        What is there.
    message
        The board's message, as far as known; by default the rule's own.
    effect_here
        When it is not the rule's own (a rule that crashes in one form and is harmless in another).
    status
        The exit status that the program ends with, where this is what ends it; None for what only explains.
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
        """Whether it keeps a test from passing, or may."""
        return self.effect in SERIOUS

    @property
    def prints(self) -> str:
        """What the board prints, empty if it prints nothing."""
        if self.status is not None:
            return self.message
        return self.message or rules()[self.rule].message

    @property
    def mend(self) -> str:
        """The command that fixes it; empty if there is none."""
        return rules()[self.rule].mend if self.fix is None else self.fix

    @property
    def what(self) -> str:
        """The rule's sentence, with what is there or what the board prints."""
        extra = self.detail or self.message
        says = rules()[self.rule].says
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

    `stops`: the places, in the parser's order. `program`: the test program, which names itself in some messages.
    """
    found = []
    for number, stop in enumerate(stops):
        status = None if number else stop.status
        if stop.speaker == "signal":
            found.append(Finding(stop.rule, stop.where, stop.message, "", "crash", status, stop.running))
            continue
        text = "\n".join(line.removeprefix("Armnn Error: ") for line in stop.said(program))
        found.append(Finding(stop.rule, stop.where, "", text, "reject", status, stop.running))
    return found
