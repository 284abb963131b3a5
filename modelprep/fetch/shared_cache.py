"""Files from the cache shared with other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelprep.fetch.failures import Want
from modelprep.fetch.progress import Task
from modelprep.store import Blob, Store

if TYPE_CHECKING:
    from modelprep.store.remote import RemoteCache

#: Name of this source.
REMOTE = "remote cache"


def from_remote(remote: RemoteCache, store: Store, want: Want, task: Task) -> Blob | None:
    """Fetch a file into the store; None if its sha256 is unknown or the shared cache does not have it."""
    sha256 = want.digests.get("sha256")
    if sha256 is None:
        return None
    blob = remote.blob(sha256, store, lambda done: task.progress(done, want.size))
    if blob is not None:
        store.set_origin(sha256, REMOTE)
    return blob
