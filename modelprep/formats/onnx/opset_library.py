"""One node carried to another opset by onnx's own converter."""

from __future__ import annotations

from typing import Any

from modelprep.formats.onnx.opset_site import Site, Unconvertible


def carry(site: Site) -> list[Any]:
    """Have onnx's own converter carry the node, alone in a model of its own."""
    import onnx
    from onnx import helper, version_converter

    def value(name: str) -> Any:
        return helper.make_tensor_value_info(name, site.type(name), site.shapes.get(name))

    old, new = site.change.opset - 1, site.change.opset
    node = onnx.NodeProto.FromString(site.node.SerializeToString())
    alone = helper.make_model(
        helper.make_graph([node], "one", [value(name) for name in node.input], [value(name) for name in node.output]),
        opset_imports=[helper.make_opsetid("", old if site.up else new)],
    )
    try:
        made = version_converter.convert_version(alone, new if site.up else old)
    except Exception as error:
        raise Unconvertible((str(error).strip().splitlines() or ["onnx has no way"])[0][:200]) from error
    kept = {*node.input, *node.output}
    inner = {name for each in made.graph.node for name in each.output} | {t.name for t in made.graph.initializer}
    names = {name: name if name in kept else site.name(f"{site.node.output[0]}_{name}") for name in inner | kept}
    for tensor in made.graph.initializer:
        tensor.name = names[tensor.name]
        site.model.graph.initializer.add().ParseFromString(tensor.SerializeToString())
    nodes = []
    for each in made.graph.node:
        for held in (each.input, each.output):
            for index, name in enumerate(held):
                held[index] = names.get(name, name)
        nodes.append(type(site.node).FromString(each.SerializeToString()))
    return nodes
