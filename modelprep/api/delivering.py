"""Verbs that write finished demos into an archive, or recipes for another build system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelprep.api.declaring import AnyPath, Unpack, Words, verb
from modelprep.api.fetching import parts_of, selected
from modelprep.api.frame import verb_of
from modelprep.api.options import BundleOptions, LavaOptions, YoctoOptions
from modelprep.events import Listener

if TYPE_CHECKING:
    from modelprep.deliver.bundle import Bundled
    from modelprep.deliver.lava import LavaJob
    from modelprep.deliver.yocto import Exported


@verb(BundleOptions)
def bundle(
    targets: Words, output: AnyPath, *, listen: Listener | None = None, **options: Unpack[BundleOptions]
) -> Bundled:
    """Pack finished demos into one archive: the same inputs always result in the same bytes.

    Parameters
    ----------
    output
        The archive: ``.tar.gz``, ``.tar.zst``, ``.tar`` or ``.zip``.

    Raises
    ------
    UsageError
        A demo has not been fetched, or the archive type is unknown.
    DigestMismatch
        A file of the tree was changed since it was installed.
    MissingTool
        ``.tar.zst`` without the zstandard module.
    StorageError, Interrupted
        The disk is full or not writable; Ctrl-C. An earlier file of that name is still there.
    """
    with verb_of(BundleOptions, options, listen) as (given, tell):
        from modelprep.deliver.bundle import plan_bundle, write_bundle

        return write_bundle(plan_bundle(parts_of(targets, given, tell)), Path(output), tell)


@verb(YoctoOptions)
def export_yocto(
    targets: Words, folder: AnyPath, *, listen: Listener | None = None, **options: Unpack[YoctoOptions]
) -> Exported:
    """Write a Yocto layer that puts finished demos into an image. The command's ``export yocto``.

    Parameters
    ----------
    folder
        The layer.

    Raises
    ------
    UsageError
        A demo has not been fetched, the release is unknown, or the URL cannot be written into a recipe.
    StorageError, DigestMismatch
        As :func:`bundle`.
    """
    with verb_of(YoctoOptions, options, listen) as (given, tell):
        from modelprep.pipeline.exporting import export_yocto as export
        from modelprep.targets.bsp import load

        of_board = load(given.bsp).yocto if given.bsp else ""
        return export(
            given.out,
            selected(targets, given),
            Path(folder),
            bundle_url=given.bundle_url,
            release=given.release or of_board or "scarthgap",
            layer_series=given.layer_series,
            include_restricted=given.include_restricted,
            listen=tell,
        )


@verb(LavaOptions)
def export_lava(
    targets: Words, folder: AnyPath, *, listen: Listener | None = None, **options: Unpack[LavaOptions]
) -> LavaJob:
    """Write a LAVA job that fetches a bundle of finished demos and reports each test. The command's ``export lava``.

    Parameters
    ----------
    folder
        Folder for the bundle, the test definition and the job.

    Raises
    ------
    UsageError
        A demo has not been fetched, the URL is not valid, or no device type is known for the SoC.
    StorageError, DigestMismatch
        As :func:`bundle`.
    """
    with verb_of(LavaOptions, options, listen) as (given, tell):
        from modelprep.deliver.lava import write_job

        parts = parts_of(targets, given, tell)
        return write_job(
            Path(folder), parts, bundle_url=given.bundle_url, device_type=given.device_type, soc=given.soc, listen=tell
        )
