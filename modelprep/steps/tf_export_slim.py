"""``tf.export_slim``: the inference graph of a slim network, as slim's export_inference_graph.py writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelprep.errors import MissingTool, RecipeError, StepError, nearest
from modelprep.installed import install_command
from modelprep.steps import Call, Exempt, Facts, Param, Step, _subprocess, needs

#: Networks of tf_slim 1.1: name -> (module of tf_slim.nets, function, arg scope).
NETWORKS: Mapping[str, tuple[str, str, str]] = {
    "alexnet_v2": ("alexnet", "alexnet_v2", "alexnet_v2_arg_scope"),
    "inception_v1": ("inception", "inception_v1", "inception_v1_arg_scope"),
    "inception_v2": ("inception", "inception_v2", "inception_v2_arg_scope"),
    "inception_v3": ("inception", "inception_v3", "inception_v3_arg_scope"),
    "overfeat": ("overfeat", "overfeat", "overfeat_arg_scope"),
    **{
        f"resnet_v{version}_{depth}": (f"resnet_v{version}", f"resnet_v{version}_{depth}", "resnet_arg_scope")
        for version in (1, 2)
        for depth in (50, 101, 152, 200)
    },
    **{name: ("vgg", name, "vgg_arg_scope") for name in ("vgg_a", "vgg_16", "vgg_19")},
}
_DEFAULT_SIZE = 224


def _run(call: Call) -> Facts:
    least_and_most = {"classes": (1, 1_000_000), "size": (0, 4096), "batch": (0, 4096)}
    numbers = {name: call.params.get(name) or 0 for name in least_and_most}
    if not all(least <= numbers[name] <= most for name, (least, most) in least_and_most.items()):
        raise RecipeError("invalid numbers for tf.export_slim", got=str(numbers),
                          expected="classes from 1, size and batch from 0 to 4096")  # fmt: skip
    outputs = [str(name) for name in call.params.get("outputs") or ()]
    request = {"network": str(call.params["network"]), **numbers, "outputs": outputs, "output": str(call.output)}
    return _subprocess.call(__name__, request, failure="building the network with tf_slim failed")


def work(request: Mapping[str, Any]) -> dict[str, object]:
    """Write the inference graph; runs in the process that :mod:`modelprep.steps._subprocess` starts.

    `request`: network, classes, size (pixels; 0: the network's own), batch (0: any), outputs (empty: all nodes), output
    (path).
    """
    from modelprep.formats.tensorflow.graphdef import encode_graph, parse_graph, write_pieces
    from modelprep.formats.tensorflow.rewire import outputs_of, subgraph

    name = request["network"]
    if name not in NETWORKS:
        raise StepError("tf_slim has no such network", got=name, hint=nearest(name, sorted(NETWORKS)) or None)
    module, function, scope = NETWORKS[name]
    tf, nets = _import(module)
    network = getattr(nets, function)
    size = request["size"] or getattr(network, "default_image_size", _DEFAULT_SIZE)
    graph = tf.Graph()
    with graph.as_default():
        shape = [request["batch"] or None, size, size, 3]
        image = tf.placeholder(tf.float32, shape, name="input")
        with nets_scope(nets, scope):
            network(image, num_classes=request["classes"], is_training=False)
    made = parse_graph(graph.as_graph_def().SerializeToString(deterministic=True), name)
    if request["outputs"]:
        made.nodes = subgraph(made, request["outputs"])
    written = write_pieces(encode_graph(made), Path(request["output"]))
    return {
        "network": name, "classes": request["classes"], "input": f"input {shape}",
        "outputs": [node.name for node in outputs_of(made)][:8], "nodes": len(made.nodes), "bytes": written,
    }  # fmt: skip


def nets_scope(nets: Any, scope: str) -> Any:
    """Return the network's arg scope, without weight decay (which only adds nodes that no inference needs)."""
    import inspect

    import tf_slim

    make = getattr(nets, scope)
    decay = {"weight_decay": 0.0} if "weight_decay" in inspect.signature(make).parameters else {}
    return tf_slim.arg_scope(make(**decay))


def _import(module: str) -> tuple[Any, Any]:
    """Import TensorFlow 1's interface and a module of tf_slim.nets.

    tf_slim 1.1 imports ``tf_keras.legacy_tf_layers``, which newer tf_keras has under ``tf_keras.src``; slim's variables
    must be of the old kind, as in the checkpoints of its time.
    """
    import importlib
    import pkgutil
    import sys

    try:
        import tensorflow.compat.v1 as tf

        tf.disable_v2_behavior()
        layers = importlib.import_module("tf_keras.src.legacy_tf_layers")
        sys.modules.setdefault("tf_keras.legacy_tf_layers", layers)
        for found in pkgutil.iter_modules(layers.__path__):
            part = importlib.import_module(f"{layers.__name__}.{found.name}")
            sys.modules.setdefault(f"tf_keras.legacy_tf_layers.{found.name}", part)
        return tf, importlib.import_module(f"tf_slim.nets.{module}")
    except ImportError as error:
        raise MissingTool("building a slim network needs the extra tf", got=str(error),
                          hint=install_command("tf")) from None  # fmt: skip


STEP = Step(
    name="tf.export_slim",
    version=1,
    summary="write the inference graph of a slim network (needs the extra tf)",
    example="--network inception_v3 -o graph.pb",
    params={
        "network": Param("str", "the network's name in slim: inception_v3, resnet_v1_50, vgg_16", required=True),
        "classes": Param("int", "number of outputs (1001: ImageNet with a background class)", default=1001),
        "size": Param("int", "height and width of the input in pixels (0: the network's own)", default=0),
        "batch": Param("int", "batch size of the input (0: any)", default=0),
        "outputs": Param("strs", "keep only what these nodes need (default: everything)"),
    },
    run=_run,
    proof=Exempt("it builds a graph from a name: there is no original, and no weights until tf.freeze"),
    cpu_bound=True,
    extras=needs("tf"),
)
