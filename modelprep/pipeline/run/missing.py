"""Files that a run could not download: their names for ``--set``, and the next commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from modelprep.errors import DigestMismatch, FetchError, ModelprepError
from modelprep.fetch.by_hand import FOLDER, download, is_archive
from modelprep.fetch.failures import NotDownloaded, Want
from modelprep.fetch.network_errors import Unreached
from modelprep.pipeline.plan.request import Plan, PlannedDemo
from modelprep.quoting import command
from modelprep.recipe.schema import Asset
from modelprep.structs import dataclass


@dataclass(frozen=True)
class Missing:
    """One file that a demo needs and that could not be downloaded.

    `identity` is the same for every demo that needs it; `name` is its name for ``--set``: the asset's own, or
    ``group/demo:asset`` if that is ambiguous.
    """

    identity: str
    asset: Asset
    want: Want
    name: str
    error: ModelprepError

    @property
    def hosts(self) -> Mapping[str, Unreached]:
        """Why each of its hosts was not reached; empty if it failed for another reason."""
        return self.error.hosts if isinstance(self.error, NotDownloaded) else {}

    @property
    def offline(self) -> bool:
        """Whether ``--offline`` kept it from being downloaded."""
        return isinstance(self.error, NotDownloaded) and self.error.offline

    def to_json(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {
            "asset": self.asset.key,
            "set": self.name,
            "file": self.want.name,
            "size": self.want.size,
            "digests": dict(self.want.digests),
            "download": download(self.asset, self.want.name),
            "tried": list(self.error.tried),
        }


def missing(plan: Plan, demo: PlannedDemo, failed: Mapping[str, ModelprepError]) -> tuple[Missing, ...]:
    """List what a demo needs and what could not be downloaded, in the order of its recipe."""
    from modelprep.pipeline.plan.planner import meanings

    wanted = {asset: name for name in demo.names if (asset := demo.names[name]) in failed.keys() & demo.needs}
    if not wanted:
        return ()
    known = meanings([each.recipe for each in plan.demos], plan.pins)
    found = []
    for identity, name in wanted.items():
        planned = plan.assets.get(identity)
        if planned is None or planned.fetch is None or not isinstance(failed[identity], (FetchError, DigestMismatch)):
            continue
        alone = len(set(known[name].values())) == 1
        asked_as = name if alone else f"{demo.recipe.name}:{name}"
        want = plan.want(planned.asset)
        found.append(Missing(identity, planned.asset, want, asked_as, failed[identity]))
    return tuple(found)


def downloads(files: Iterable[Missing]) -> dict[str, tuple[str, str]]:
    """Return by identity the unique name under which each file is kept, and the line that downloads it."""
    different = {each.identity: each for each in files}
    names = Counter(each.want.name for each in different.values())
    kept = {}
    for identity, each in different.items():
        prefix = f"{each.asset.lock_key}-" if names[each.want.name] > 1 else ""
        name = f"{prefix}{each.want.name}".replace("/", "-").replace("#", "-")
        kept[identity] = (name, download(each.asset, name))
    return kept


def again(words: Sequence[str], files: Sequence[Missing]) -> str:
    """Write the typed command so that it resumes once all files are downloaded (:func:`downloads`)."""
    kept = downloads(files)
    options: list[str] = []
    if any(is_archive(each.asset) for each in files):
        options += ("--mirror", FOLDER)
    # One file may have several names, one per recipe.
    for each in files:
        option = f"{each.name}={kept[each.identity][0]}"
        if not is_archive(each.asset) and option not in options:
            options += ("--set", option)
    return command(*words, *options)


def with_way_out(error: ModelprepError, files: Sequence[Missing], words: Sequence[str]) -> ModelprepError:
    """Return the error of a demo with the commands for all of its missing files."""
    if not files:
        return error
    lines = [error.hint.partition("for a manual download:")[0].rstrip()] if error.hint else []
    lines += ["for a manual download:", *(line for _, line in downloads(files).values()), again(words, files)]
    return error.but(hint="\n".join(filter(None, lines)))
