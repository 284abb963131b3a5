"""How Arm NN's optimizer merges reshapes: equal ones of one output, and one behind another.

Source: ``src/armnn/Optimizer.cpp`` and ``src/armnn/optimizations/`` at tag v19.02.
"""

from __future__ import annotations

from modelprep.targets.armnn.network import Layer, Network, Shape

#: Layers that are sorted again after merges, in all. Beyond it (25,000 layers and twenty merges), which of two layers
#: of one depth comes first may differ from the board.
_SORTED = 500_000


def merge_reshapes(network: Network) -> None:
    """Walk from the last layer to the first; what nobody takes any more is erased on the way.

    A merge changes the depth of nothing but what lies behind it, so that the layers yet to come keep their order.
    """
    network.sort()
    waiting, left = list(network.layers), _SORTED
    while waiting:
        layer = waiting.pop()
        if not any(taker.kind == "Reshape" for slot in layer.outputs for taker, _ in slot.takers) and not layer.unused:
            continue  # nothing to merge
        _squash_equal(layer)
        _erase_unused(network, layer)
        if layer.kind == "Reshape" and not layer.unused:
            waiting += _join_consecutive(network, layer)
            _erase_unused(network, layer)
        if layer.unused:
            network.erase(layer)
        left -= len(network.layers)
        if left > 0:
            network.sort()


def _erase_unused(network: Network, layer: Layer) -> None:
    for slot in layer.outputs:
        for child, _ in list(slot.takers):
            if child.unused:
                network.erase(child)


def _squash_equal(layer: Layer) -> None:
    """Let one reshape stand for all that make the same of an output."""
    for slot in layer.outputs:
        first: dict[Shape, Layer] = {}
        for child, _ in slot.takers:
            if child.kind == "Reshape" and not child.unused:
                one = first.setdefault(child.params["target"], child)
                if one is not child:
                    child.out.move_all(one.out)


def _join_consecutive(network: Network, layer: Layer) -> list[Layer]:
    """Let the second of two reshapes take what the first one takes; return the reshapes that are new."""
    made = []
    for child, _ in layer.out.takers:
        if child.kind == "Reshape":
            parent = layer.source()
            if parent.shape != child.out.shape:
                merged = network.add("Reshape", f"merged-{layer.name}-with-{child.name}", before=layer,
                                     target=child.out.shape)  # fmt: skip
                merged.out.info = child.out.info
                parent.connect(merged)
                parent = merged.out
                made.append(merged)
            child.out.move_all(parent)
    return made
