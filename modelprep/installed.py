"""How this copy of modelprep was installed, and the command that adds an extra to it.

The name ``modelprep`` on the Python package index belongs to another project; this one is distributed as
``modelprep-boards``. A hint that names the wrong distribution would install another program, so hints are made here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from modelprep import quoting

#: Name of the distribution; the command and the import package are called ``modelprep``.
DISTRIBUTION = "modelprep-boards"


def checkout() -> Path | None:
    """Return the folder of the checkout that this package runs from, or None for an installed copy."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() and (root / "recipes").is_dir() else None


def install_command(*extras: str, upgrade: bool = False) -> str:
    """Return the shell command that installs extras into this copy.

    Parameters
    ----------
    extras
        Names of extras (``check``, ``tf``); none for modelprep itself.
    upgrade
        Whether to upgrade what is installed already.

    Notes
    -----
    pipx leaves ``pipx_metadata.json`` and uv's tools ``uv-receipt.toml`` in the environment; an environment made by uv
    has a line ``uv = VERSION`` in ``pyvenv.cfg`` and contains no pip.
    """
    chosen = f"[{','.join(extras)}]" if extras else ""
    newer = ["--upgrade"] if upgrade else []
    prefix = Path(sys.prefix)
    if (root := checkout()) is not None:
        words = [*_pip("install"), *newer, "--editable", f"{root}{chosen}"]
    elif (prefix / "pipx_metadata.json").is_file():
        words = ["pipx", "install", "--force", _requirement(chosen)]
    elif (prefix / "uv-receipt.toml").is_file():
        words = ["uv", "tool", "install", "--force", _requirement(chosen)]
    else:
        words = [*_pip("install"), *newer, _requirement(chosen)]
    return quoting.command(*words)


def package_command(name: str) -> str:
    """Return how to install a package of ``docs/examples``: the shell command in a checkout, else the page to read."""
    root = checkout()
    if root is None:
        return f"install the package {name}: docs/how-to/steps-plugin.md"
    return quoting.command(*_pip("install"), str(root / "docs" / "examples" / name))


def _pip(verb: str) -> list[str]:
    settings = Path(sys.prefix) / "pyvenv.cfg"
    if settings.is_file() and any(line.startswith("uv =") for line in settings.read_text("utf-8").splitlines()):
        return ["uv", "pip", verb, "--python", sys.executable]
    return [sys.executable or "python3", "-m", "pip", verb]


def _requirement(chosen: str) -> str:
    """Return what to install: the name on the index, or the file or folder that this copy was installed from."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        origin = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}").get("url", "")
    except (PackageNotFoundError, ValueError):
        origin = ""
    return f"{DISTRIBUTION}{chosen} @ {origin}" if origin else f"{DISTRIBUTION}{chosen}"


def namesakes() -> list[str]:
    """Name other programs on this machine that are called ``modelprep``, one sentence each.

    The distribution ``modelprep`` in this environment (its command overwrites ours), and a command of that name that is
    earlier on PATH and belongs to another environment.
    """
    import shutil
    from importlib.metadata import distributions

    found = [
        f"the distribution 'modelprep' {other.version} is installed in this environment: it is another project; its "
        f"command replaces ours; {quoting.command(*_pip('uninstall'), 'modelprep')}"
        for other in distributions(name="modelprep")
    ]
    command = shutil.which("modelprep")
    ours = {Path(sys.prefix).resolve(), Path(sys.argv[0]).absolute().parent.parent.resolve()}
    if command is not None and Path(command).resolve().parent.parent not in ours:
        found.append(f"the command 'modelprep' on PATH is {command}, which belongs to another installation")
    return found
