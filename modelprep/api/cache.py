"""Verbs that look after what recipes download: mirrors of it, and whether its sources are alive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.arguments import AnyPath, Paths, Words, framed, path_or_none, within, words
from modelprep.events import Event, Listener, silent

if TYPE_CHECKING:
    from modelprep.audit import AuditReport, HostReport, Subject
    from modelprep.pipeline.mirroring import Mirrored, VerifiedMirror


def mirror(
    targets: Words,
    folder: AnyPath,
    *,
    bitbake: bool = False,
    include_restricted: bool = False,
    out: AnyPath = "out",
    cache: AnyPath | None = None,
    mirrors: Paths = (),
    offline: bool = False,
    archives: bool = True,
    allow_private: bool | None = None,
    jobs: int = 4,
    lockfile: AnyPath | None = None,
    armnn: str | None = None,
    bsp: str | None = None,
    soc: str | None = None,
    recipes: Paths = (),
    listen: Listener = silent,
) -> Mirrored:
    """Write a static mirror of what recipes download; ``mirrors=[folder]`` reads it, from a web server too.

    What stands there with the right digest is left alone; what the store has not is fetched.

    Parameters
    ----------
    targets
        As for :func:`modelprep.plan`, as all that is not named here.
    folder
        The mirror.
    bitbake
        One flat folder with the names and stamps of BitBake's ``DL_DIR``.
    include_restricted
        Also files whose rights do not allow passing them on.
    listen
        As for :func:`modelprep.run`.

    Returns
    -------
    Mirrored
        An asset that failed stops no other: see its ``failed``, ``left_out`` and ``exit_code``.

    Raises
    ------
    ModelprepError
        As :func:`modelprep.plan`; the folder cannot be written or is a mirror of the other layout; Ctrl-C.
    """
    with framed(listen) as tell:
        from modelprep.api.fetching import plan
        from modelprep.pipeline.mirroring import make_mirror

        decided = plan(
            targets,
            out=out,
            cache=cache,
            mirrors=mirrors,
            offline=offline,
            archives=archives,
            allow_private=allow_private,
            jobs=jobs,
            lockfile=lockfile,
            armnn=armnn,
            bsp=bsp,
            soc=soc,
            recipes=recipes,
        )
        return make_mirror(decided, Path(folder), include_restricted=include_restricted, bitbake=bitbake, listen=tell)


def verify_mirror(folder: AnyPath, *, listen: Listener = silent) -> VerifiedMirror:
    """Read every byte of a mirror again and hold it to its index. The command's ``mirror --verify``.

    Raises
    ------
    UsageError
        There is no mirror of ours.
    StorageError
        A file cannot be read.
    """
    with framed(listen) as tell:
        from modelprep.pipeline.mirroring import verify_mirror as verify

        return verify(Path(folder), tell)


def audit(
    targets: Words = (),
    *,
    archives: bool = False,
    history: AnyPath | None = None,
    html: AnyPath | None = None,
    jobs: int = 8,
    pause: float = 0.5,
    timeout: float = 20.0,
    out: AnyPath = "out",
    lockfile: AnyPath | None = None,
    recipes: Paths = (),
    listen: Listener = silent,
) -> AuditReport:
    """Ask every source whether it is alive and still gives the same file; downloads nothing.

    Parameters
    ----------
    targets
        As for :func:`modelprep.plan`; everything when there are none.
    archives
        Ask the archives of last resort too (they limit requests).
    history
        What audits remember: when a source last worked (None: in the user's state folder). Written in the end.
    html
        Write the report as a page as well.
    jobs
        Hosts asked at once, 1 to 32; at each of them one request at a time.
    pause, timeout
        Seconds between two requests at one host, 0 to 60; seconds of silence that count as death, 0.1 to 600.
    out, lockfile
        The lock file, or the folder it lies in: its pins count as the recipes' own.
    recipes
        Folders of recipes of one's own.
    listen
        Hears ``start``, ``progress`` and ``done`` of the task ``audit`` (``data``: URLs ``asked``, ``of`` how many) and
        a warning for each broken recipe.

    Raises
    ------
    ModelprepError
        A target is not known, the lock file or the history cannot be read or written; Ctrl-C.
    """
    with framed(listen) as tell:
        from modelprep.audit import History, default_history, places
        from modelprep.pipeline.auditing import JOBS, PAUSE, TIMEOUT, manners, run_audit

        within("jobs", jobs, *JOBS)
        within("pause", pause, *PAUSE)
        within("timeout", timeout, *TIMEOUT)
        found = _subjects(targets, out, lockfile, recipes, tell)
        asked = [place for subject in found for place in places(subject, archives=archives)]

        def progress(done: int, total: int) -> None:
            tell(Event("progress", task="audit", label="audit", data={"asked": done, "of": total}))

        tell(Event("start", task="audit", label="audit"))
        remembered = History(path_or_none(history) or default_history())
        result = run_audit(found, asked, remembered, manners(jobs, pause, timeout), progress)
        if html is not None:
            from modelprep.audit.page import write_page

            write_page(Path(html), result)
        tell(Event("done", task="audit", label="audit"))
        return result


def count_hosts(
    targets: Words = (),
    *,
    out: AnyPath = "out",
    lockfile: AnyPath | None = None,
    recipes: Paths = (),
    listen: Listener = silent,
) -> HostReport:
    """Count for each asset who could give it, and for each host what hangs on it alone. Asks nobody.

    The command's ``audit --hosts``; parameters as for :func:`audit`.

    Raises
    ------
    ModelprepError
        A target is not known, or the lock file cannot be read.
    """
    with framed(listen) as tell:
        from modelprep.audit import count_hosts as count

        return count(_subjects(targets, out, lockfile, recipes, tell))


def _subjects(
    targets: Words, out: AnyPath, lockfile: AnyPath | None, recipes: Paths, tell: Listener
) -> tuple[Subject, ...]:
    from modelprep.api.fetching import catalogue
    from modelprep.pipeline.auditing import audit_subjects

    lock = Path(out) / "modelprep.lock" if lockfile is None else Path(lockfile)
    found, broken = audit_subjects(catalogue(recipes), words(targets), lock)
    for error in broken:
        tell(Event("warning", text=f"a recipe is broken: {error}", data=error.to_json()))
    return found
