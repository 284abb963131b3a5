"""The writers of shell, terminal and JSON text and the facts of the installation, for programs built on the verbs.

A name is imported when it is first used, so that a command imports only what it needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from modelprep.installed import install_command as install_command
    from modelprep.installed import namesakes as namesakes
    from modelprep.quoting import command as command
    from modelprep.quoting import json as json
    from modelprep.quoting import line as line
    from modelprep.quoting import operand as operand
    from modelprep.quoting import sh as sh
    from modelprep.quoting import terminal as terminal
    from modelprep.recipe.licences import MEANINGS as LICENCE_CLASSES
    from modelprep.url import scrub as scrub
    from modelprep.version import __version__ as __version__

__all__ = [
    "LICENCE_CLASSES", "__version__", "command", "install_command", "json", "line", "namesakes", "operand", "scrub",
    "sh", "terminal",
]  # fmt: skip
_HOMES = {
    "install_command": "modelprep.installed",
    "namesakes": "modelprep.installed",
    "scrub": "modelprep.url",
    "__version__": "modelprep.version",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in __all__:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        if name == "LICENCE_CLASSES":
            found = import_module("modelprep.recipe.licences").MEANINGS
        else:
            found = getattr(import_module(_HOMES.get(name, "modelprep.quoting")), name)
        globals()[name] = found
        return found
