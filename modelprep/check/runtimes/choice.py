"""Choose the runtime: the host's, or Arm NN's network in numpy if the host's fails or differs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from modelprep.check.runtimes import isolated, reference
from modelprep.check.runtimes.base import PYARMNN, Ready
from modelprep.errors import MissingTool
from modelprep.formats.arrays import Array
from modelprep.installed import install_command
from modelprep.targets import armnn_tests
from modelprep.targets.armnn.network import Network
from modelprep.targets.armnn.program import Binding, walk


def ready(
    path: Path, parser: str, input_name: str, shape: Sequence[int], outputs: Sequence[str], *,
    version: str = armnn_tests.BASE_VERSION, exact: bool = False, network: Network | None = None,
) -> Ready:  # fmt: skip
    """Load a model into the runtime whose result is closest to the board's.

    `path`, `parser`, `input_name`, `shape`, `outputs`: as for :func:`modelprep.check.runtimes.host.ready`. `exact`:
    only Arm NN's own network, as other runtimes compute something else. `network`: that network, if already loaded.
    Raises MissingTool: nothing here runs the model; the hint names what would.
    """

    def own() -> Ready:
        known = network
        for text in (False, True) if parser == "tf" else ():
            if known is None:
                known, _ = walk(path, parser, Binding(input_name, outputs, shapes={input_name: shape}, text=text))
        return reference.ready(path, parser, input_name, outputs, version, known)

    def instead(error: MissingTool) -> Ready:
        try:
            return own()
        except MissingTool:
            raise error from None

    if find_spec("numpy") is None:
        raise MissingTool("running models on this machine needs the extra check", hint=install_command("check"))
    # A real Arm NN that the user names comes first.
    asked = parser == "tflite" and os.environ.get(PYARMNN)
    if asked or (parser not in (*reference.READERS, "tf") and network is None):
        return isolated.ready(path, parser, input_name, shape, outputs)
    if exact or (parser == "tflite" and reference.unordered(path)):
        return own()
    try:
        loaded = isolated.ready(path, parser, input_name, shape, outputs)
    except MissingTool as error:
        return instead(error)
    if parser == "tf" and loaded.runtime.startswith("OpenCV"):
        # It keeps pictures channels first, and computes other numbers for some flattening and subtracting graphs.
        with suppress(MissingTool):
            return own()

    def run(values: Array) -> list[Array]:
        try:
            return loaded.run(values)
        except MissingTool as error:
            return instead(error).run(values)

    return Ready(loaded.runtime, run, loaded.quantisation, loaded.sizes, own)
