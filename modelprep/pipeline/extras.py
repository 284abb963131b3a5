"""The optional parts of modelprep: what they are made of, and whether it is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelprep.errors import MissingTool

#: Extra -> modules that it brings (as in ``pyproject.toml``; a test compares the two).
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "tf": ("tensorflow", "tf_slim", "tf_keras"),
    "onnx": ("numpy", "onnx", "onnxruntime", "tf2onnx"),
    "check": ("numpy", "cv2", "onnxruntime", "ai_edge_litert", "PIL"),
}


def missing_modules(extra: str) -> tuple[str, ...]:
    """List the modules of an extra that are not installed (looked up, not imported)."""
    from importlib.util import find_spec

    return tuple(name for name in EXTRAS.get(extra, (extra,)) if find_spec(name) is None)


def require(extras: Iterable[str], *, what: str) -> None:
    """Make sure that extras are installed.

    Raises
    ------
    MissingTool
        One is not; the command that installs it is named.
    """
    lacking = {extra: modules for extra in sorted(set(extras)) if (modules := missing_modules(extra))}
    if lacking:
        names = ",".join(lacking)
        absent = sorted({module for modules in lacking.values() for module in modules})
        raise MissingTool(
            f"{what} needs the extra '{names}', which is not installed",
            got=f"not there: {', '.join(absent)}",
            hint=f"pip install 'modelprep[{names}]'",
        )
