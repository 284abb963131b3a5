"""What ``fetch`` says of files that could not be downloaded: each once, and one command for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelprep import quoting
from modelprep.cli.output import Output, size_text
from modelprep.errors import FetchError

if TYPE_CHECKING:
    from modelprep.pipeline.run.missing import Missing
    from modelprep.pipeline.run.report import Report


def tell_missing(output: Output, report: Report, words: Sequence[str]) -> None:
    """Show every file of a report that could not be downloaded, and the commands that lead on.

    Files for which no host was reached, or none was asked, are told by three lines each: name, size and checksum, and
    the command with the best URL. Everything that was tried is shown with ``-v``.

    Parameters
    ----------
    words
        The command that was typed.
    """
    from modelprep.pipeline.run.missing import again, downloads

    files = [each for demo in report.demos for each in demo.missing]
    if not files:
        return
    different = {each.identity: each for each in files}
    lines = downloads(files)
    silent = [each for each in different.values() if each.hosts or each.offline]
    other = [each for each in different.values() if each not in silent]
    for each in other:
        output.error(each.error.but(hint=lines[each.identity][1]))
    text: list[str] = []
    if silent:
        text.append(f"{_cause(silent)}; {_files(len(silent))} missing")
        for each in silent:
            size = size_text(each.want.size) if each.want.size is not None else "size unknown"
            text += [
                f"  {each.want.name} ({each.name})",
                f"    {size}, {each.want.checksum or 'no published checksum'}",
                f"    {lines[each.identity][1]}",
            ]
            text += [f"      tried: {line}" for line in each.error.tried] if output.verbose else []
    else:
        text.append(f"{_files(len(other))} missing")
    first = "run the curl lines above where there is a network, then here:" if silent else "run the curl lines, then:"
    offline = any(each.offline for each in silent)
    steps = [first, again(words, files)]
    if offline:
        steps += ["or with a network:", quoting.command(*(word for word in words if word != "--offline"))]
    if silent:
        steps += ["or with a folder of downloads (see `modelprep mirror`):", quoting.command(*words, "--mirror", "DIR")]
        steps += ["or try modelprep without a network, in its checkout:", "make demo"]
    output.error(FetchError("\n".join(text), hint="\n".join(steps)))


def _cause(files: Sequence[Missing]) -> str:
    from modelprep.fetch.network_errors import no_network

    if hosts := {host: how for each in files for host, how in each.hosts.items()}:
        return no_network(hosts)
    return "not cached, and --offline leaves no other place"


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count} files are"
