"""From finished trees to a Yocto layer: which files BitBake can download itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from modelprep.deliver.yocto import Exported, plan_units, write_layer
from modelprep.errors import UsageError
from modelprep.events import Listener, silent
from modelprep.fetch import urls
from modelprep.pipeline.mirroring import unique_name
from modelprep.recipe.schema import Recipe, Source
from modelprep.tree.manifest import InstalledFile
from modelprep.tree.selection import TreePart, select


def export_yocto(
    out: Path,
    recipes: Sequence[Recipe],
    folder: Path,
    *,
    bundle_url: str = "",
    release: str = "scarthgap",
    layer_series: Sequence[str] = (),
    include_restricted: bool = False,
    listen: Listener = silent,
) -> Exported:
    """Write a layer for demos whose trees are finished: see :func:`modelprep.export_yocto`.

    BitBake downloads a file that is installed unchanged from its URL (a restricted one too, with a licence flag that
    the builder must accept); all others come from a bundle.
    """
    sources: dict[str, list[Source]] = {}
    for recipe in recipes:
        for asset in recipe.assets.values():
            sources.setdefault(asset.key, []).extend(asset.sources)

    def downloads(file: InstalledFile) -> tuple[str, str] | None:
        assets = file.provenance.assets
        if file.provenance.steps or len(assets) != 1 or assets[0].sha256 != file.sha256:
            return None
        if assets[0].source == "--set":
            return None
        bare = [urls.direct_forms(source.url)[0][0] for source in sources.get(assets[0].name, ()) if not source.member]
        for url in bare:
            if urls.is_public(url):
                safe = quote(url.reveal(), safe="/:?&=%#@+,~!*'()[]").replace("'", "%27").replace(";", "%3B")
                return safe, unique_name(url, file.sha256)
        if bare and all(url.secret for url in bare):
            raise UsageError(
                "a layer would contain a URL with a secret query, and the file has no public source",
                where=bare[0].place or None,
                got=str(bare[0]),
                hint=f"add a public URL for '{assets[0].name}', or leave the demo out: {', '.join(file.demos)}",
            )
        return None

    whole = select(out, recipes, include_restricted=True, listen=listen)
    if not include_restricted:
        whole = tuple(_without_restricted(part, downloads) for part in whole)
    units, left_out = plan_units(whole, downloads)
    return write_layer(
        folder, whole, units, left_out, bundle_url=bundle_url, release=release, layer_series=layer_series, listen=listen
    )


def _without_restricted(part: TreePart, downloads: Callable[[InstalledFile], object]) -> TreePart:
    held = {
        path: file
        for path, file in part.files.items()
        if any(asset.restricted for asset in file.provenance.assets) and downloads(file) is None
    }
    files = {path: file for path, file in part.files.items() if path not in held}
    return replace(part, manifest=replace(part.manifest, files=files), left_out=tuple(held.values()))
