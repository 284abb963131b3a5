"""Files inside archives: the one that is wanted, and those by which an archive is known."""

from __future__ import annotations

from pathlib import Path

from modelprep.errors import StepError
from modelprep.events import silent
from modelprep.fetch.digests import all_digests, first_difference, hash_path
from modelprep.fetch.failures import SourceFailed, Want, member_failure
from modelprep.fetch.partials import Landed
from modelprep.fetch.progress import Task
from modelprep.fetch.sources import Candidate
from modelprep.recipe.schema import Asset
from modelprep.store import Blob, Store


def take_member(store: Store, archive: Blob, candidate: Candidate, want: Want, task: Task, max_bytes: int) -> Landed:
    """Take the member that a candidate names out of an archive.

    Parameters
    ----------
    max_bytes
        The most that is taken of a member whose size is not known.

    Raises
    ------
    SourceFailed
        It is no archive, has no such member, or the member has another digest.
    """
    member = candidate.source.member
    assert member is not None
    with store.scratch() as folder:
        output = folder / "member"
        _extract(archive.path, member, output, want.size if want.size is not None else max_bytes, task)
        digests, size = hash_path(output, want.digests)
        if (difference := first_difference(want.digests, digests)) is not None:
            from modelprep.fetch.sniff import describe

            looks = describe(output, expected_size=want.size)
            wanted = Want(member, want.digests, want.size)
            raise member_failure(wanted, looks, size, difference, all_digests(output, digests))
        kept = store.new_file()
        output.replace(kept)
    return Landed(kept, digests, size, 0)


def check_members(store: Store, landed: Landed, asset: Asset, shown: str, max_bytes: int) -> None:
    """Verify an archive of which only the members are pinned; one that fails goes to quarantine.

    Parameters
    ----------
    shown
        Where it came from, for the note there.

    Raises
    ------
    SourceFailed
        A member is not there or has another digest.
    """
    try:
        for member, digests in asset.members.items():
            with store.scratch() as folder:
                output = folder / "member"
                _extract(landed.path, member, output, max_bytes, Task(silent, "", ""))
                got, size = hash_path(output, digests.values)
                if (difference := first_difference(digests.values, got)) is not None:
                    from modelprep.fetch.sniff import describe

                    looks = describe(output)
                    raise member_failure(Want(member, digests.values, None), looks, size, difference, got)
    except SourceFailed as failure:
        note = {"what": "an archive without the wanted members", "url": shown, "got": failure.text}
        store.quarantine(landed.path, note)
        raise


def _extract(archive: Path, member: str, output: Path, limit: int, task: Task) -> None:
    from modelprep.formats.archive.members import extract_member

    try:
        extract_member(archive, member, output, max_bytes=limit, progress=task.progress)
    except StepError as error:
        from modelprep.fetch.sniff import describe

        looks = describe(archive)
        raise SourceFailed(f"gave {looks}: {error.what}", looks=looks) from error
