"""Verbs about mirrors of what recipes download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.declaring import AnyPath, Unpack, Words, verb
from modelprep.api.frame import framed, verb_of
from modelprep.api.options import MirrorOptions
from modelprep.events import Listener

if TYPE_CHECKING:
    from modelprep.pipeline.mirroring import Mirrored, VerifiedMirror


@verb(MirrorOptions)
def mirror(
    targets: Words, folder: AnyPath, *, listen: Listener | None = None, **options: Unpack[MirrorOptions]
) -> Mirrored:
    """Write a static mirror of the downloads of recipes; ``mirrors=[folder]`` reads it, from a web server too.

    Files that exist with the right checksum are left alone; files that are not cached are fetched.

    Parameters
    ----------
    folder
        The mirror.

    Returns
    -------
    Mirrored
        A failed asset does not stop the others: see its ``failed``, ``left_out`` and ``exit_code``.

    Raises
    ------
    ModelprepError
        As :func:`modelprep.plan`; the folder cannot be written or is a mirror of the other layout; Ctrl-C.
    """
    with verb_of(MirrorOptions, options, listen) as (given, tell):
        from modelprep.api.fetching import decide
        from modelprep.pipeline.mirroring import make_mirror

        return make_mirror(
            decide(targets, given),
            Path(folder),
            include_restricted=given.include_restricted,
            bitbake=given.bitbake,
            listen=tell,
        )


@verb()
def verify_mirror(folder: AnyPath, *, listen: Listener | None = None) -> VerifiedMirror:
    """Read every byte of a mirror again and check it against its index. The command's ``mirror --verify``.

    Parameters
    ----------
    folder
        The mirror.

    Raises
    ------
    UsageError
        The folder is not a mirror made by modelprep.
    StorageError
        A file cannot be read.
    """
    with framed(listen) as tell:
        from modelprep.pipeline.mirroring import verify_mirror as verify

        return verify(Path(folder), tell)
