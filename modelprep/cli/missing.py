"""Messages of ``fetch`` about files that could not be downloaded: each once, and one command for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelprep.api import text
from modelprep.api.outlook import unfetched
from modelprep.cli.output import Output, size_text
from modelprep.errors import FetchError

if TYPE_CHECKING:
    from modelprep.api.types import Report


def tell_missing(output: Output, report: Report) -> None:
    """Show every file of a report that could not be downloaded, and the next commands.

    Files for which no host was reached or tried take three lines each: name, size and checksum, and the command with
    the best URL. ``-v`` shows everything that was tried.
    """
    found = unfetched(report, output.words)
    if found is None:
        return
    for each in found.refused:
        output.error(each.error.but(hint=found.commands[each.identity]))
    lines: list[str] = []
    if found.unreached:
        lines.append(f"{found.cause}; {_files(len(found.unreached))} missing")
        for each in found.unreached:
            size = size_text(each.want.size) if each.want.size is not None else "size unknown"
            lines += [
                f"  {each.want.name} ({each.name})",
                f"    {size}, {each.want.checksum or 'no published checksum'}",
                f"    {found.commands[each.identity]}",
            ]
            lines += [f"      tried: {line}" for line in each.error.tried] if output.verbose else []
        steps = ["run the curl lines above on a machine with a network, then here:", found.again]
    else:
        lines.append(f"{_files(len(found.refused))} missing")
        steps = ["run the curl lines, then:", found.again]
    if any(each.offline for each in found.unreached):
        online = text.command(*(word for word in output.words if word != "--offline"))
        steps += ["or with a network:", online]
    if found.unreached:
        mirrored = text.command(*output.words, "--mirror", "DIR")
        steps += ["or with a folder of downloads (see `modelprep mirror`):", mirrored]
        steps += ["or try modelprep without a network, in its checkout:", "make demo"]
    output.error(FetchError("\n".join(lines), hint="\n".join(steps)))


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count} files are"
