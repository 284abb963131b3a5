"""Numbers of bytes for people: binary units, one decimal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelprep.api.types import Plan, PlannedDemo


def size_text(size: int | None) -> str:
    """Write a number of bytes for people: ``548.0 MiB``; a question mark if unknown.

    >>> size_text(574671192), size_text(9912), size_text(12), size_text(None)
    ('548.0 MiB', '9.7 KiB', '12 B', '?')
    """
    if size is None:
        return "?"
    if size < 1024:
        return f"{size} B"
    value, units = size / 1024, ["KiB", "MiB", "GiB", "TiB"]
    while value >= 1023.95 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{value:.1f} {units[0]}"


def mib(size: float) -> str:
    """Write a number of bytes in MiB without the unit, for a column of them."""
    return f"{size / 2**20:.1f}"


def clock(seconds: float) -> str:
    """Write a duration as ``7:12`` or ``1:02:03``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def download_text(plan: Plan, demo: PlannedDemo) -> str:
    """Write the download size of one demo: ``~`` if only the size inside an archive is known, or ``?``."""
    from modelprep.api.outlook import download_size

    exact, rough = download_size(plan, demo)
    return size_text(exact) if exact is not None or rough is None else f"~{size_text(rough)}"
