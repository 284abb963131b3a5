"""Install a demo whose parts are ready: files and their provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from modelprep.errors import CorruptBlob
from modelprep.events import Event, Listener
from modelprep.pipeline.plan.keys import asset_identity, demo_key, files_of, identify_steps, source_name, used_assets
from modelprep.pipeline.plan.planner import output_of, two_in_one_place
from modelprep.pipeline.plan.request import Plan, PlannedDemo
from modelprep.pipeline.run.restore import Restorer
from modelprep.pipeline.run.summary import State
from modelprep.recipe.schema import Asset
from modelprep.recipe.spread import fills_folder
from modelprep.store import Blob
from modelprep.structs import dataclass, field, replace
from modelprep.tree.install import Installed, apply_install
from modelprep.tree.manifest import AssetUsed, Provenance, StepUsed, plain
from modelprep.tree.plan import demo_entry, plan_install


@dataclass(eq=False)
class Installer:
    """Installs the demos of one run."""

    state: State
    listen: Listener
    stop: Callable[[], bool]
    restore: Restorer
    landed: dict[str, tuple[str, str]] = field(default_factory=dict)

    def install(self, demo: PlannedDemo, patience: int = 100) -> Installed:
        """Install one demo into its tree; a corrupt cached file is restored and the installation continues.

        It fails when more than `patience` files are corrupt, one cannot be restored, or another demo installs other
        bytes at one of its paths.
        """
        try:
            demo = self._spread(demo)
            return self._install(demo, dict(self._files(demo)))
        except CorruptBlob as corrupt:
            if patience == 0:
                raise
            self.restore.blob(demo, corrupt)
            return self.install(demo, patience - 1)

    def _spread(self, demo: PlannedDemo) -> PlannedDemo:
        """Return a demo with its folders' files, which are known once the steps have run."""
        if not any(map(fills_folder, demo.files)):
            return demo
        files = files_of(demo.recipe, demo.names, lambda name: self.state.results[demo.names[name]].outputs)
        return replace(demo, files=files, key=demo_key(demo.recipe, files, used_assets(demo.recipe)))

    def _install(self, demo: PlannedDemo, files: Mapping[str, Blob]) -> Installed:
        self._refuse_two_in_one_place(demo, files)
        decided = plan_install(
            demo.folder,
            demo_entry(demo.recipe, self._key(demo)),
            files,
            provenance(self.state.plan, demo, self.state.blobs),
            self.state.plan.store,
            peers=[other.recipe.name for other in self.state.plan.demos if other.problem is None],
        )
        link = self.state.plan.request.link
        done = apply_install(decided, self.state.plan.store, link=link, listen=self.listen, stop=self.stop)
        text = f"{len(done.written)} of {len(files)} files written to {demo.folder}"
        if done.repaired:
            text += f"; repaired {', '.join(done.repaired)}"
        data: dict[str, object] = {"written": list(done.written), "folder": str(demo.folder)}
        self.listen(Event("done", task=demo.install_task, label=demo.recipe.demo, text=text, data=data))
        return done

    def _files(self, demo: PlannedDemo) -> Iterator[tuple[str, Blob]]:
        """Yield destination -> bytes."""
        for path, (identity, inner) in demo.files.items():
            if identity in self.state.plan.assets:
                yield path, self.state.blobs[identity]
                continue
            sha256 = output_of(self.state.plan.steps[identity], self.state.results[identity], inner)
            blob = self.state.plan.store.get(sha256)
            if blob is None:
                raise CorruptBlob(sha256, str(self.state.plan.store.blob_path(sha256)))
            yield path, blob

    def _refuse_two_in_one_place(self, demo: PlannedDemo, files: Mapping[str, Blob]) -> None:
        """Refuse two demos of this run with different bytes at one path, which planning could not know."""
        for path, blob in files.items():
            target = str(demo.folder / path)
            other, sha256 = self.landed.setdefault(target, (demo.recipe.name, blob.sha256))
            if sha256 != blob.sha256:
                raise two_in_one_place(other, path, target, sha256, blob.sha256)

    def _key(self, demo: PlannedDemo) -> str:
        """Return the demo's key with the pins that this run added, as the next run will compute it."""
        if not self.state.pins:
            return demo.key
        pins = {**self.state.plan.pins, **self.state.pins}
        names: dict[str, str] = {}
        assets = [asset for asset in demo.recipe.assets.values() if asset.id in demo.names]
        for asset in assets:
            planned = self.state.plan.assets[demo.names[asset.id]]
            names[asset.id] = asset_identity(asset, pins, planned.sha256 if planned.override is not None else None)
        # Bound again: the plan may contain an equal step of another recipe, with that recipe's names.
        identify_steps(demo.recipe, names)
        made = {demo.names[name]: name for name in names}
        files = {path: (names[made[identity]], inner) for path, (identity, inner) in demo.files.items()}
        return demo_key(demo.recipe, files, assets)


def provenance(plan: Plan, demo: PlannedDemo, blobs: Mapping[str, Blob]) -> dict[str, Provenance]:
    """Return destination -> provenance for the files of a demo; `blobs` by identity of the asset.

    It names the recipe's first source, not the mirror that delivered the file, so that the same recipes make the same
    manifest everywhere. The run's report names the server.
    """
    by_identity = {identity: name for name, identity in demo.names.items()}
    return {path: _of(plan, demo, by_identity, identity, blobs) for path, (identity, _) in demo.files.items()}


def _of(plan: Plan, demo: PlannedDemo, names: Mapping[str, str], top: str, blobs: Mapping[str, Blob]) -> Provenance:
    assets: dict[str, AssetUsed] = {}
    steps: dict[str, StepUsed] = {}

    def visit(identity: str) -> None:
        if identity in steps or identity in assets:
            return
        step = plan.steps.get(identity)
        if step is None:
            assets[identity] = _asset(plan, demo.recipe.assets[names[identity]], identity, blobs)
            return
        for below, _ in step.inputs.values():
            visit(below)
        # The names in the parameters are this recipe's, even if an equal step of another recipe was run.
        use = next(use for use in demo.recipe.steps if use.id == names[identity])
        parameters = {**step.bound.plain, **use.params}
        steps[identity] = StepUsed(
            step=step.bound.step.name,
            version=step.bound.step.version,
            parameters={name: plain(parameters[name]) for name in sorted(parameters)},
        )

    visit(top)
    return Provenance(tuple(assets.values()), tuple(steps.values()))


def _asset(plan: Plan, asset: Asset, identity: str, blobs: Mapping[str, Blob]) -> AssetUsed:
    planned = plan.assets[identity]
    blob = blobs.get(identity)
    own = planned.override is not None
    licence = None if own else asset.licence
    return AssetUsed(
        name=asset.key,
        source="--set" if own else source_name(asset.sources[0]) if asset.sources else "",
        sha256=blob.sha256 if blob is not None else planned.sha256 or "",
        size=blob.size if blob is not None else asset.size or 0,
        licence=licence.name if licence else "",
        licence_source=licence.source if licence else "",
        pinned_by="" if own else asset.pinned_by,
        restricted=asset.restricted and not own,
        warning=f"accepted although it is {planned.doubt}" if planned.doubt else "",
    )
