"""Lint findings as a SARIF 2.1.0 log, which code hosts show beside the change (OASIS standard, 2020)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from modelprep.check.lint.findings import Finding
from modelprep.store.disk import write_atomic
from modelprep.targets.armnn_rules import rules
from modelprep.version import __version__

_LEVELS = {"reject": "error", "crash": "error", "wrong": "warning", "note": "note", "ignored": "none"}


def sarif(model: Path, findings: Sequence[Finding]) -> dict[str, object]:
    """Return a SARIF log with one run over one model file."""
    used = sorted({finding.rule for finding in findings})
    driver = {
        "name": "modelprep",
        "version": __version__,
        "rules": [{"id": rule, "shortDescription": {"text": rules()[rule].says}} for rule in used],
    }
    results = [
        {
            "ruleId": finding.rule,
            "ruleIndex": used.index(finding.rule),
            "level": _LEVELS[finding.effect],
            "message": {"text": str(finding)},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": model.as_posix()}},
                    "logicalLocations": [{"fullyQualifiedName": finding.where}],
                }
            ],
        }
        for finding in findings
    ]
    runs = [{"tool": {"driver": driver}, "results": results}]
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": runs}


def write_sarif(path: Path, model: Path, findings: Sequence[Finding]) -> None:
    """Write the log of :func:`sarif` to a file. Raises StorageError: it cannot be written."""
    write_atomic(path, (json.dumps(sarif(model, findings), indent=2) + "\n").encode())
