"""Recognise the i.MX Linux release of a board from its ``/etc``.

NXP's images write ``/etc/build`` with the layers that they were built from, and their branch or commit;
``/etc/os-release`` names the distribution. A release is recognized by its own name or by the commit that the facts
were read from.
"""

from __future__ import annotations

import re

from modelprep.deliver.remote import Channel
from modelprep.targets import bsp

_READ = 'for file in os-release build; do [ -r "$1/$file" ] && head -c 65536 "$1/$file"; done; :'
#: Digits of a commit that identify it.
_SHORT = 8


def releases_in(text: str) -> list[str]:
    """Return the releases named in a text. `text`: of ``/etc/os-release`` and ``/etc/build``."""
    found = []
    for name in bsp.names():
        version, _, patch = name.removeprefix("L").partition("-")
        spelled = re.search(rf"(?<![\d.]){re.escape(version)}[-_]{re.escape(patch)}(?![\d.])", text)
        commit = bsp.load(name).source.rpartition(" ")[2][:_SHORT]
        if spelled or (len(commit) == _SHORT and commit in text):
            found.append(name)
    return found


def other_release(channel: Channel, prepared: str, folder: str = "/etc") -> str:
    """Return a warning if the board runs another release than the files were prepared for; empty if unknown.

    `prepared`: the release that the files were prepared for. `folder`: where the board has these files. Raises
    DeployError: the board cannot be asked.
    """
    found = releases_in(channel.script(_READ, folder))
    if not found or prepared in found:
        return ""
    return (
        f"{channel.board.login} runs {found[-1]}, but these files were prepared for {prepared}: fetch and deploy with "
        f"--bsp {found[-1]}"
    )
