"""The verb that reports which optional components this machine has."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from modelprep.api.declaring import Unpack, verb
from modelprep.api.frame import verb_of
from modelprep.api.options import DoctorOptions
from modelprep.errors import ModelprepError
from modelprep.installed import namesakes
from modelprep.url import Url, redact_proxy

#: Program -> what it is for.
TOOLS = {
    "ssh": "deploy",
    "rsync": "deploy, faster and resumable",
    "scp": "copying to a board by hand",
    "curl": "fetching by hand, as messages suggest",
    "sha256sum": "checking a tree by hand",
}

#: Variable that names a Python of another environment -> module it has to import, what it is for.
PEERS = {
    "MODELPREP_PYCAFFE": ("caffe", "a real Caffe: caffe bake --engine pycaffe, --compare"),
    "MODELPREP_PYARMNN": ("pyarmnn", "a real Arm NN as one more runtime of check"),
}


@verb(DoctorOptions)
def doctor(**options: Unpack[DoctorOptions]) -> dict[str, Any]:
    """Report extras, tools, free space, mirrors and recipe folders. The command ``doctor``.

    Returns
    -------
    dict
        JSON-ready: versions, ``extras``, ``plugins``, ``converters``, ``tools``, ``interpreters``, ``store``,
        ``out``, ``recipes``, ``mirrors`` and ``proxies``.
    """
    with verb_of(DoctorOptions, options) as (given, _):
        from modelprep.api.fetching import catalogue_of
        from modelprep.store.maintenance import writable
        from modelprep.version import __version__

        folders = catalogue_of(given).folders
        return {
            "modelprep": __version__,
            "python": sys.version.split()[0],
            "executable": sys.executable,
            "namesakes": namesakes(),
            "dependencies": {name: _version(name) for name in _DEPENDENCIES},
            "extras": _extras(),
            "plugins": _plugins(),
            "converters": _converters(),
            "tools": {name: shutil.which(name) for name in TOOLS},
            "interpreters": {name: _interpreter(os.environ.get(name), module) for name, (module, _) in PEERS.items()},
            "store": _store(given.cache),
            "out": {"path": str(given.out), "writable": writable(given.out.absolute())},
            "recipes": [{"folder": str(folder), "recipes": _count(folder)} for folder in folders],
            "mirrors": [_mirror(text, given.offline) for text in given.mirrors],
            "proxies": {name: redact_proxy(os.environ[name]) for name in _PROXIES if os.environ.get(name)},
        }


_DEPENDENCIES = ("google-crc32c", "Jinja2", "platformdirs", "protobuf", "PyYAML", "requests", "tqdm", "typer")
_DISTRIBUTIONS = {
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "cv2": ("opencv-python-headless", "opencv-python"),
    "ai_edge_litert": ("ai-edge-litert",),
    "PIL": ("pillow",),
}
_PROXIES = (
    "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip


def _version(module: str) -> str | None:
    """Return the version of an installed distribution from its metadata, without importing it."""
    from importlib.metadata import distributions

    names = _DISTRIBUTIONS.get(module, (module,))
    return next((found.version for name in names for found in distributions(name=name)), None)


def _extras() -> dict[str, dict[str, Any]]:
    from importlib.util import find_spec

    from modelprep.steps._extras import MODULES

    found: dict[str, dict[str, Any]] = {}
    for extra, modules in MODULES.items():
        versions = {m: (_version(m) or "there") if find_spec(m) is not None else None for m in modules}
        found[extra] = {"complete": None not in versions.values(), "modules": versions}
    return found


def _plugins() -> list[dict[str, str]]:
    from modelprep.steps import unusable
    from modelprep.steps._plugins import plugins

    return [{"name": one.name, "package": one.origin, "problem": unusable(one)} for one in plugins()]


def _converters() -> dict[str, dict[str, Any]]:
    """Return the external program that each step would run: its name and version, or how to get it."""
    from modelprep import steps

    found: dict[str, dict[str, Any]] = {}
    for step in map(steps.find, steps.names()):
        if step.tool is not None:
            try:
                found[step.name] = {"tool": step.tool({}), "says": ""}
            except ModelprepError as error:
                found[step.name] = {"tool": None, "says": error.hint or error.what}
    return found


def _interpreter(program: str | None, module: str) -> dict[str, object]:
    """Check that an interpreter named by the user starts and can import its module."""
    import subprocess

    if not program:
        return {"program": None, "ok": None, "says": "not set"}
    try:
        done = subprocess.run(
            [program, "-c", f"import {module}"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"program": program, "ok": False, "says": f"does not run: {error}"}
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {"program": program, "ok": False, "says": said[-1] if said else f"cannot import {module}"}
    return {"program": program, "ok": True, "says": f"imports {module}"}


def _store(cache: Path | None) -> dict[str, object]:
    """Describe the store; if it cannot be used, the reason is part of the result."""
    from modelprep.pipeline.run.errors import as_error
    from modelprep.store import Store, maintenance

    try:
        info = maintenance.info(Store.open(cache))
    except (ModelprepError, OSError, RuntimeError) as caught:
        error = as_error(caught)
        says = "; ".join(filter(None, (error.what, error.hint)))
        return {"root": error.where, "writable": False, "free_bytes": None, "says": says}
    return {"root": str(info.root), "writable": info.writable, "free_bytes": info.free_bytes, "says": ""}


def _count(folder: Path) -> int:
    from modelprep.recipe.catalogue import Catalogue

    return len(Catalogue([folder]).names())


def _mirror(text: str, offline: bool) -> dict[str, object]:
    """Check that a mirror exists: a folder, or a server that answers."""
    if "://" not in text or text.startswith("file://"):
        from modelprep.fetch.sources import mirror_folder

        folder = mirror_folder(text)
        return {"mirror": text, "ok": folder.is_dir(), "says": "a folder" if folder.is_dir() else "not there"}
    url = Url(text)
    shown = str(url)
    if offline:
        return {"mirror": shown, "ok": None, "says": "not asked (--offline)"}
    from modelprep.fetch.connections import Chain, Client
    from modelprep.fetch.network_errors import Broken

    try:
        # Any answer counts, a redirect too: a bucket need not list its root.
        answer = Client(10, 10).request("HEAD", Chain(url, pinned=True), {})
    except Broken as broken:
        return {"mirror": shown, "ok": False, "says": broken.text}
    answer.close()
    return {"mirror": shown, "ok": answer.status_code < 500, "says": f"answers {answer.status_code}"}
