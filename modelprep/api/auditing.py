"""Verbs that check whether the sources of recipes still work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelprep.api.declaring import Unpack, Words, verb, words
from modelprep.api.frame import verb_of
from modelprep.api.options import AuditOptions, HostOptions
from modelprep.events import Event, Listener

if TYPE_CHECKING:
    from types import SimpleNamespace

    from modelprep.audit import AuditReport, HostReport, Subject


@verb(AuditOptions)
def audit(targets: Words = (), *, listen: Listener | None = None, **options: Unpack[AuditOptions]) -> AuditReport:
    """Check that every source still works and still serves the same file; downloads nothing.

    Parameters
    ----------
    targets
        As for :func:`modelprep.plan`; everything when there are none.
    listen
        Receives ``start``, ``progress`` and ``done`` of the task ``audit`` (``data``: URLs ``asked``, ``of`` how many,
        at how many ``hosts``) and a warning for each broken recipe.

    Raises
    ------
    ModelprepError
        A target is unknown, the lock file or the history cannot be read or written; Ctrl-C.
    """
    with verb_of(AuditOptions, options, listen) as (given, tell):
        from modelprep.audit import History, default_history, places
        from modelprep.pipeline.auditing import manners, run_audit

        found = _subjects(targets, given, tell)
        if given.html is not None and given.html.is_dir():
            from modelprep.errors import UsageError

            raise UsageError("the path of the page is a folder", where=str(given.html), expected="--html FILE")
        asked = [place for subject in found for place in places(subject, archives=given.archives)]

        def progress(done: int, total: int) -> None:
            tell(Event("progress", task="audit", label="audit", data={"asked": done, "of": total}))

        hosts = {place.host for place in asked if place.host}
        tell(Event("start", task="audit", label="audit", data={"of": len(asked), "hosts": len(hosts)}))
        remembered = History(given.history or default_history())
        result = run_audit(found, asked, remembered, manners(given.jobs, given.pause, given.timeout), progress)
        if given.html is not None:
            from modelprep.audit.page import write_page

            write_page(given.html, result)
        tell(Event("done", task="audit", label="audit"))
        return result


@verb(HostOptions)
def count_hosts(targets: Words = (), *, listen: Listener | None = None, **options: Unpack[HostOptions]) -> HostReport:
    """Count for each asset its independent hosts, and for each host what depends on it alone. Uses no network.

    The command's ``audit --hosts``.

    Parameters
    ----------
    targets
        As for :func:`modelprep.plan`; everything when there are none.

    Raises
    ------
    ModelprepError
        A target is unknown, or the lock file cannot be read.
    """
    with verb_of(HostOptions, options, listen) as (given, tell):
        from modelprep.audit import count_hosts as count

        return count(_subjects(targets, given, tell))


def _subjects(targets: Words, given: SimpleNamespace, tell: Listener) -> tuple[Subject, ...]:
    from modelprep.api.fetching import catalogue_of
    from modelprep.pipeline.auditing import audit_subjects
    from modelprep.recipe.lockfile import lock_path

    lock = lock_path(given.lockfile, given.out)
    found, broken = audit_subjects(catalogue_of(given), words(targets), lock)
    for error in broken:
        tell(Event("warning", text=f"a recipe is broken: {error}", data=error.to_json()))
    return found


def verdicts() -> Mapping[str, str]:
    """Return the possible verdicts on a source, the worst first, each with its meaning."""
    from modelprep.audit.verdicts import VERDICTS

    return {str(verdict): meaning for verdict, meaning in VERDICTS.items()}


def no_network(result: AuditReport) -> str:
    """Return a sentence that says why the hosts of an audit could not be reached."""
    from modelprep.fetch.network_errors import no_network

    return no_network(result.hosts)
