"""The modules of an extra, and the error for a missing extra."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelprep.errors import MissingTool
from modelprep.installed import install_command

#: Extra -> the modules that are imported from it (looked for, not imported: that would cost seconds).
MODULES: Mapping[str, tuple[str, ...]] = {
    "tf": ("tensorflow", "numpy"),
    "onnx": ("onnx", "onnxruntime", "tf2onnx", "numpy"),
    "check": ("cv2", "onnxruntime", "ai_edge_litert", "numpy", "PIL"),
    "socks": ("socks",),
}


def require(extras: Iterable[str], what: str) -> None:
    """Raise MissingTool, with the command that installs them, if one of the extras is not installed.

    `what`: what needs them, as the subject of a sentence: "the step tf.to_onnx".
    """
    from importlib.util import find_spec

    absent = {extra: [m for m in MODULES.get(extra, ()) if find_spec(m) is None] for extra in dict.fromkeys(extras)}
    missing = [extra for extra, modules in absent.items() if modules]
    if missing:
        raise MissingTool(
            f"{what} needs the extra{'s' * (len(missing) > 1)} {' and '.join(missing)}",
            expected=", ".join(module for extra in missing for module in absent[extra]),
            got="not installed",
            hint=install_command(*missing),
        )
