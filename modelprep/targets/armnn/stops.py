"""Ends of a parser that have no message, or that do not end it at once."""

from __future__ import annotations

from modelprep.targets.armnn.network import CRASHED, Stop


class Refused(Stop):
    """A ParseException in the TF Lite parser: it reads the other operators too, then fails."""


def crash(why: str, rule: str, where: str = "", *, status: int = CRASHED, running: bool = False) -> Stop:
    """Make the stop of a program that a signal ends; `why` is for people, the board prints nothing."""
    return Stop(why, rule, where, speaker="signal", status=status, running=running)
