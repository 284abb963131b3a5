"""The YAML files of this package: facts about runtimes and releases."""

from __future__ import annotations

from typing import Any


def read_facts(name: str) -> dict[str, Any]:
    """Return the content of a YAML file of this package."""
    from importlib import resources

    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = resources.files("modelprep.targets").joinpath(name).read_text("utf-8")
    return dict(yaml.load(text, Loader=loader))  # noqa: S506 - a safe loader, and a file of this package
