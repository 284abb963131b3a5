"""Files inside archives: the expected one, and those that identify an archive."""

from __future__ import annotations

from pathlib import Path

from modelprep.errors import StepError
from modelprep.events import silent
from modelprep.fetch.digests import all_digests, first_difference, hash_path
from modelprep.fetch.failures import SourceFailed, Want, content_failure
from modelprep.fetch.partials import Landed
from modelprep.fetch.progress import Task
from modelprep.fetch.sources import Candidate
from modelprep.recipe.schema import Asset
from modelprep.store import Blob, Store


def take_member(store: Store, archive: Blob, candidate: Candidate, want: Want, task: Task, max_bytes: int) -> Landed:
    """Extract a candidate's member from an archive; `max_bytes` limits a member of unknown size.

    Raises SourceFailed if the file is not an archive, has no such member, or the member has another digest.
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
            raise content_failure(want, looks, size, difference, all_digests(output, digests), member)
        kept = store.new_file()
        output.replace(kept)
    return Landed(kept, digests, size, 0)


def check_members(store: Store, landed: Landed, asset: Asset, shown: str, max_bytes: int) -> None:
    """Verify an archive of which only the members are pinned; `shown` is its origin.

    A wrong one, in which a member is missing or has another digest, is quarantined, and SourceFailed raised.
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
                    want = Want(member, digests.values, None)
                    raise content_failure(want, looks, size, difference, got, member)
    except SourceFailed as failure:
        note = {"what": "an archive without the expected members", "url": shown, "got": failure.text}
        store.quarantine(landed.path, note)
        raise


def _extract(archive: Path, member: str, output: Path, limit: int, task: Task) -> None:
    from modelprep.formats.archive.members import extract_member

    try:
        extract_member(archive, member, output, max_bytes=limit, progress=task.progress)
    except StepError as error:
        from modelprep.fetch.sniff import describe

        looks = describe(archive)
        raise SourceFailed(f"returned {looks}: {error.what}", looks=looks) from error
