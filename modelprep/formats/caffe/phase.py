"""Which layers of a net take part: include and exclude rules against the net's state.

The behaviour is that of ``Net::FilterNet`` of Caffe 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelprep.errors import StepError, UsageError, nearest
from modelprep.formats.caffe.messages import PHASES, NetParameter, copy_of, replace_layers


def filter_net(net: NetParameter, phase: str = "TEST", level: int = 0, stages: Sequence[str] = ()) -> NetParameter:
    """Make a copy of a net with only those layers that take part in a state.

    `net`: an upgraded net; its own ``state`` adds stages, phase and level are the arguments (as in pycaffe's
    ``Net(file, phase, level, stages)``). Raises StepError: a layer has both include and exclude rules; UsageError: the
    phase is neither ``TEST`` nor ``TRAIN``.
    """
    if phase not in PHASES:
        raise UsageError(
            f"There is no phase '{phase}'", expected="TEST or TRAIN", hint=nearest(phase.upper(), list(PHASES)) or None
        )
    result = copy_of(net)
    result.state.phase = PHASES[phase]
    result.state.level = level
    result.state.stage.extend(stages)
    replace_layers(result, [layer for layer in net.layer if _takes_part(layer, result.state)])
    return result


def _takes_part(layer: Any, state: Any) -> bool:
    """Say whether a layer takes part in a NetState: any include rule met, or none there and no exclude rule met."""
    if layer.include and layer.exclude:
        raise StepError(
            "A layer has both include and exclude rules", where=f"layer '{layer.name}'", expected="one kind of rule"
        )
    if layer.include:
        return any(_meets(state, rule) for rule in layer.include)
    return not any(_meets(state, rule) for rule in layer.exclude)


def _meets(state: Any, rule: Any) -> bool:
    """Say whether a NetState meets a NetStateRule: every condition that the rule writes down holds."""
    if rule.HasField("phase") and rule.phase != state.phase:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    stages = set(state.stage)
    return stages.issuperset(rule.stage) and stages.isdisjoint(rule.not_stage)
