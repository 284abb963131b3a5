"""The writers of shell, terminal and JSON text and the facts of the installation, for programs built on the verbs.

A name is imported when it is first used, so that a command imports only what it needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from modelprep.installed import install_command, namesakes
    from modelprep.quoting import command, json, line, operand, sh, terminal
    from modelprep.recipe.licences import MEANINGS as LICENCE_CLASSES
    from modelprep.url import scrub
    from modelprep.version import __version__

__all__ = [
    "LICENCE_CLASSES", "__version__", "command", "install_command", "json", "line", "namesakes", "operand", "scrub",
    "sh", "terminal",
]  # fmt: skip
_HOMES = {"install_command": "installed", "namesakes": "installed", "scrub": "url", "__version__": "version"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in __all__:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        if name == "LICENCE_CLASSES":
            found = import_module("modelprep.recipe.licences").MEANINGS
        else:
            found = getattr(import_module(f"modelprep.{_HOMES.get(name, 'quoting')}"), name)
        globals()[name] = found
        return found
