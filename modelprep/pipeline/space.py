"""Room: what a plan will put on which file system, against what is free there, before the first byte comes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelprep.errors import StorageError
from modelprep.pipeline.request import Plan, PlannedAsset
from modelprep.store.disk import free_space, human


@dataclass(frozen=True)
class Room:
    """What one file system has to take.

    Parameters
    ----------
    places
        The folders of ours that lie on it.
    needed
        Bytes that are sure to be written: an estimate from below, for what is unknown is not in it.
    free
        Bytes that are free; None where the system does not say.
    unknown
        Files whose size nobody can say before they are there (unstated downloads, what steps make).
    """

    places: tuple[Path, ...]
    needed: int
    free: int | None
    unknown: int

    @property
    def enough(self) -> bool:
        """Whether what is known fits."""
        return self.free is None or self.needed <= self.free

    def to_json(self) -> dict[str, object]:
        """Give it JSON-ready."""
        return {
            "places": [str(place) for place in self.places],
            "needed": self.needed,
            "free": self.free,
            "unknown": self.unknown,
        }


def rooms(plan: Plan) -> tuple[Room, ...]:
    """Say what each file system has to take for a plan; opens no socket and writes nothing."""
    loads = {plan.store.root: _store_load(plan), plan.request.out: _tree_load(plan)}
    by_device: dict[int, list[Path]] = {}
    for place in loads:
        by_device.setdefault(_device(place), []).append(place)
    return tuple(
        Room(
            places=tuple(places),
            needed=sum(loads[place][0] for place in places),
            free=free_space(places[0]),
            unknown=sum(loads[place][1] for place in places),
        )
        for places in by_device.values()
    )


def check_room(plan: Plan) -> None:
    """Refuse a plan that cannot fit.

    Raises
    ------
    StorageError
        What is known to come is more than a file system has free.
    """
    for room in rooms(plan):
        if room.enough or not room.needed:
            continue
        more = f", and {room.unknown} of unknown size" if room.unknown else ""
        raise StorageError(
            "there is no room for what is to come; nothing was fetched",
            where=", ".join(str(place) for place in room.places),
            expected=f"{human(room.needed)} free ({room.needed} bytes: downloads and installed files{more})",
            got=f"{human(room.free or 0)} free ({room.free or 0} bytes)",
            hint="make room, prepare fewer demos at once, or name another disk with --cache DIR or --out DIR",
        )


def _store_load(plan: Plan) -> tuple[int, int]:
    needed, unknown = 0, len(plan.to_run)
    for asset in plan.to_fetch:
        assert asset.fetch is not None
        sources = asset.asset.sources
        # A member is unpacked beside its archive, which stays in the store.
        parts = [asset.fetch.bytes_to_come]
        if sources and all(source.member for source in sources):
            parts.append(asset.asset.size)
        needed += sum(part for part in parts if part is not None)
        unknown += parts.count(None)
    return needed, unknown


def _tree_load(plan: Plan) -> tuple[int, int]:
    """Count the files that are not there yet; one that is replaced gives back about what it takes."""
    needed = unknown = 0
    seen: set[Path] = set()
    for demo in plan.demos:
        if demo.problem is not None or demo.state not in ("missing", "stale") or plan.request.link:
            continue
        for path, (identity, _) in demo.files.items():
            target = demo.folder / path
            if target in seen or target.exists():
                continue
            seen.add(target)
            asset = plan.assets.get(identity)
            size = None if asset is None else _size(asset)
            needed += size or 0
            unknown += size is None
    return needed, unknown


def _size(asset: PlannedAsset) -> int | None:
    try:
        if asset.override is not None:
            return asset.override.stat().st_size
    except OSError:
        return None
    if asset.fetch is not None and asset.fetch.here is not None:
        return asset.fetch.here.size
    return asset.asset.size


def _device(place: Path) -> int:
    there = next((folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists()), None)
    return -1 if there is None else there.stat().st_dev
