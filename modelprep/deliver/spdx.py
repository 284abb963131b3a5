"""An SPDX 2.3 document of a delivery: which files, made from what, under which licence.

Source of the format: the SPDX specification 2.3, JSON serialization. The document does not depend on machine or date:
its name space is a digest of its contents, its date is ``SOURCE_DATE_EPOCH`` or the epoch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelprep.tree.manifest import AssetUsed, InstalledFile
from modelprep.tree.selection import TreePart
from modelprep.version import __version__

#: Licences of our recipes that are SPDX ids; anything else becomes a LicenseRef with its text.
KNOWN_IDS = frozenset(
    {
        "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0",
        "CC0-1.0", "GPL-2.0-only", "GPL-3.0-only", "ISC", "LGPL-3.0-only", "MIT", "Unlicense", "Zlib",
    }
)  # fmt: skip


def document(parts: Sequence[TreePart], sha1s: Mapping[str, str], *, created: str) -> dict[str, object]:
    """Describe some parts of trees.

    `parts`: the included parts. `sha1s`: SHA-1 of every file by ``tree/path``: required by SPDX 2.3 beside any better
    digest. `created`: date and time in UTC, ``2019-03-08T00:00:00Z``. Returns JSON-ready, in order of writing.
    """
    licences: dict[str, str] = {}
    assets: dict[str, AssetUsed] = {}
    files: list[dict[str, Any]] = []
    relations: list[dict[str, str]] = []
    for part in parts:
        for path, file in sorted(part.files.items()):
            identifier = f"SPDXRef-File-{len(files) + 1}"
            name = f"{part.name}/{path}"
            files.append(_file(identifier, f"./{name}", file, sha1s[name]))
            relations.append(_relation("SPDXRef-Bundle", "CONTAINS", identifier))
            for asset in file.provenance.assets:
                assets.setdefault(asset.sha256, asset)
                relations.append(_relation(identifier, "GENERATED_FROM", _asset_id(asset)))
    packages = [_bundle_package(files, sorted(sha1s.values()))] + [
        _asset(asset, licences) for _, asset in sorted(assets.items())
    ]
    body: dict[str, object] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "modelprep-bundle",
        "creationInfo": {"created": created, "creators": [f"Tool: modelprep-{__version__}"]},
        "packages": packages,
        "files": files,
        "relationships": [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Bundle"), *relations],
    }
    if licences:
        body["hasExtractedLicensingInfos"] = [
            {"licenseId": ref, "extractedText": text, "name": text} for ref, text in sorted(licences.items())
        ]
    digest = hashlib.sha256(repr(body).encode()).hexdigest()
    body["documentNamespace"] = f"https://spdx.org/spdxdocs/modelprep-bundle-{digest}"
    return body


def _relation(element: str, kind: str, related: str) -> dict[str, str]:
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}


def _file(identifier: str, name: str, file: InstalledFile, sha1: str) -> dict[str, Any]:
    return {
        "SPDXID": identifier,
        "fileName": name,
        "checksums": [
            {"algorithm": "SHA1", "checksumValue": sha1},
            {"algorithm": "SHA256", "checksumValue": file.sha256},
        ],
        "licenseConcluded": "NOASSERTION",
        "licenseInfoInFiles": ["NOASSERTION"],
        "copyrightText": "NOASSERTION",
    }


def _bundle_package(files: Sequence[dict[str, Any]], sha1s: Sequence[str]) -> dict[str, Any]:
    # SPDX 2.3, 7.9: the verification code is the SHA-1 over the sorted SHA-1 values, joined.
    code = hashlib.sha1("".join(sha1s).encode(), usedforsecurity=False).hexdigest()
    return {
        "SPDXID": "SPDXRef-Bundle",
        "name": "modelprep-bundle",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": code},
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "licenseInfoFromFiles": ["NOASSERTION"],
        "copyrightText": "NOASSERTION",
        "comment": f"{len(files)} files prepared by modelprep {__version__}",
    }


def _asset_id(asset: AssetUsed) -> str:
    return f"SPDXRef-Asset-{asset.sha256[:24]}"


def _asset(asset: AssetUsed, licences: dict[str, str]) -> dict[str, Any]:
    # SPDX download locations are URIs; a member of an archive is the URL's fragment already.
    location = asset.source if re.match(r"(https?|ftp|git|ssh)://[^\s]+$", asset.source) else "NOASSERTION"
    package = {
        "SPDXID": _asset_id(asset),
        "name": asset.name,
        "downloadLocation": location,
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": asset.sha256}],
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": _licence(asset.licence, licences),
        "copyrightText": "NOASSERTION",
    }
    if asset.licence_source:
        package["licenseComments"] = f"said in: {asset.licence_source}"
    return package


def _licence(name: str, licences: dict[str, str]) -> str:
    if not name:
        return "NOASSERTION"
    if name in KNOWN_IDS:
        return name
    reference = f"LicenseRef-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    licences[reference] = name
    return reference
