"""The writers of shell, terminal and JSON text and the facts of the installation, for programs built on the verbs."""

from __future__ import annotations

from modelprep.installed import install_command, namesakes
from modelprep.quoting import command, json, line, operand, sh, terminal
from modelprep.recipe.licences import MEANINGS as LICENCE_CLASSES
from modelprep.url import scrub
from modelprep.version import __version__

__all__ = [
    "LICENCE_CLASSES",
    "__version__",
    "command",
    "install_command",
    "json",
    "line",
    "namesakes",
    "operand",
    "scrub",
    "sh",
    "terminal",
]
