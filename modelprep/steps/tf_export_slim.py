"""``tf.export_slim``: the inference graph of a slim network, as slim's export_inference_graph.py writes it."""

from __future__ import annotations

from modelprep.errors import RecipeError
from modelprep.steps import Call, Exempt, Facts, Param, Step, _subprocess, needs


def _run(call: Call) -> Facts:
    numbers = {name: call.params.get(name) or 0 for name in ("classes", "size", "batch")}
    if (
        not 1 <= numbers["classes"] <= 1_000_000
        or not 0 <= numbers["size"] <= 4096
        or not 0 <= numbers["batch"] <= 4096
    ):
        raise RecipeError("invalid numbers for tf.export_slim", got=str(numbers),
                          expected="classes from 1, size and batch from 0 to 4096")  # fmt: skip
    request = {
        "network": str(call.params["network"]),
        **numbers,
        "outputs": [str(name) for name in call.params.get("outputs") or ()],
        "output": str(call.output),
    }
    return _subprocess.call("modelprep.steps._slim", request, failure="building the network with tf_slim failed")


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
