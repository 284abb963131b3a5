"""Choose the runtime: the host's, or Arm NN's network in numpy if the host's fails or differs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
    """Load a model into the runtime that answers for the board.

    `path`, `parser`, `input_name`, `shape`, `outputs`: as for :func:`modelprep.check.runtimes.host.ready`. `exact`: the
    model means something else than Arm NN computes: only Arm NN's own network will do. `network`: that network, loaded,
    where it is known already. Raises MissingTool: nothing here runs it; the hint names what would.
    """

    def own() -> Ready:
        known = network
        for text in (False, True) if parser == "tf" else ():
            if known is None:
                known, _ = walk(path, parser, Binding(input_name, outputs, shapes={input_name: shape}, text=text))
        return reference.ready(path, parser, input_name, outputs, version, known)

    if find_spec("numpy") is None:
        raise MissingTool("running models on this machine needs the extra check", hint=install_command("check"))
    # Whoever names a real Arm NN wants its answer and no other.
    asked = parser == "tflite" and os.environ.get(PYARMNN)
    if asked or (parser not in (*reference.READERS, "tf") and network is None):
        return isolated.ready(path, parser, input_name, shape, outputs)
    if exact or (parser == "tflite" and reference.unordered(path)):
        return own()
    try:
        loaded = isolated.ready(path, parser, input_name, shape, outputs)
    except MissingTool as error:
        return _instead(own, error)
    if parser == "tf" and loaded.runtime.startswith("OpenCV"):
        # It keeps pictures channels first, and flattens and subtracts some of TensorFlow's graphs to other numbers.
        with suppress(MissingTool):
            return own()

    def run(values: Array) -> list[Array]:
        try:
            return loaded.run(values)
        except MissingTool as error:
            return _instead(own, error).run(values)

    return Ready(loaded.runtime, run, loaded.quantisation, loaded.sizes, own)


def _instead(own: Any, error: MissingTool) -> Ready:
    try:
        found: Ready = own()
    except MissingTool:
        raise error from None
    return found
