"""Step results by the key of their inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from modelprep.structs import dataclass, field

#: Schema of the records that are written.
SCHEMA = 2
_NOTHING = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Result:
    """The result of one call of a step.

    Parameters
    ----------
    outputs
        Inner path (posix, relative) -> sha256 of the blob; a step that makes one file has ``{"": sha256}``.
    facts
        The step's facts, JSON-ready.
    warnings
        Sentences for the user, shown again on every later run.
    step, version
        Which step, and which version of it.
    """

    outputs: Mapping[str, str]
    facts: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    step: str = ""
    version: int = 0


def result_key(step: str, version: int, params: Mapping[str, object], inputs: Mapping[str, str]) -> str:
    """Return the key of a step's result: sha256 of its name, version, parameters and input digests.

    Parameters
    ----------
    params
        Plain parameters (no files), JSON-ready; tuples count as lists.
    inputs
        Name of each file parameter (with its inner path, where it has one) -> sha256.

    Raises
    ------
    TypeError
        A parameter cannot be written as JSON, so the key would be wrong without it.
    """
    text = json.dumps(
        {"step": step, "version": version, "params": params, "inputs": inputs},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
        default=_plain,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a step's parameter cannot be a {type(value).__name__}")


def dump_result(result: Result) -> bytes:
    """Write a result as JSON, the same bytes for the same result."""
    record = {
        "schema": SCHEMA,
        "step": result.step,
        "version": result.version,
        "outputs": dict(result.outputs),
        "facts": dict(result.facts),
        "warnings": list(result.warnings),
    }
    return (json.dumps(record, sort_keys=True, indent=1, default=_plain) + "\n").encode()


def parse_result(data: bytes) -> Result | None:
    """Parse a result; None for anything else (truncated, foreign, another schema)."""
    try:
        record: Any = json.loads(data)
        outputs = {str(k): str(v) for k, v in record["outputs"].items()}
        if record["schema"] not in (1, SCHEMA) or not outputs:
            return None
        # Records of schema 1 may refer to a copy that a file system left empty.
        wrong = {_NOTHING} if record["schema"] == 1 else set()
        if not all(_inside(k) and is_sha256(v) and v not in wrong for k, v in outputs.items()):
            return None
        return Result(
            outputs=outputs,
            facts=dict(record["facts"]),
            warnings=tuple(str(w) for w in record["warnings"]),
            step=str(record["step"]),
            version=int(record["version"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def is_sha256(text: str) -> bool:
    """Say whether `text` is 64 lower-case hexadecimal digits."""
    return len(text) == 64 and not text.strip("0123456789abcdef")


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name and "\\" not in name
