"""A wrong file that is known is called by its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fetching import Bench, asset, payload
from servers.http import FaultServer

from modelprep.errors import DigestMismatch
from modelprep.recipe.known import recognise
from modelprep.recipe.schema import Asset, Digests, OtherVersion, Source


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def told(bench: Bench, wanted: Asset, *known: Asset) -> str:
    fetcher = bench.fetcher(known=known)
    with pytest.raises(DigestMismatch) as caught:
        fetcher.fetch(fetcher.plan(wanted))
    return caught.value.looks_like or ""


def test_another_asset_of_the_catalogue_is_named_by_its_digest(server: FaultServer, bench: Bench) -> None:
    data, other = payload(seed=1), payload(seed=2)
    labels = Asset(
        "labels", (), Digests({"sha256": sha256(other)}), len(other), shared="mnist-labels", summary="digits"
    )
    words = told(bench, asset(server.put("/m", other), data=data), labels)
    assert words.endswith("; the known file 'mnist-labels' (digits)")


def test_it_is_recognised_by_a_digest_that_the_wanted_file_has_none_of(server: FaultServer, bench: Bench) -> None:
    data, other = payload(seed=1), payload(seed=2)
    known = Asset("old", (), Digests({"md5": hashlib.md5(other, usedforsecurity=False).hexdigest()}))
    assert "'old'" in told(bench, asset(server.put("/m", other), data=data), known)


def test_another_version_that_the_recipe_knows_comes_before_the_catalogue(server: FaultServer, bench: Bench) -> None:
    data, other = payload(seed=1), payload(seed=2)
    version = OtherVersion("the one of 2017", Digests({"sha256": sha256(other)}))
    wanted = asset(server.put("/m", other), data=data, other_versions=(version,))
    catalogue = Asset("twin", (), Digests({"sha256": sha256(other)}))
    assert told(bench, wanted, catalogue).endswith("; another known version: the one of 2017")


def test_a_small_file_of_another_size_is_proven_by_its_digest(server: FaultServer, bench: Bench) -> None:
    other = b"name: 'batch ten'\n" * 400
    version = OtherVersion("batch 10", Digests({"git": hashlib.sha1(b"blob %d\0" % len(other) + other).hexdigest()}))
    wanted = asset(server.put("/m", other), data=payload(), other_versions=(version,))
    assert told(bench, wanted).endswith("; another known version: batch 10")


def test_a_large_file_of_another_size_is_not_transferred_and_only_its_length_is_told(
    server: FaultServer, bench: Bench
) -> None:
    other = payload(30_000_000)
    known = Asset("big", (), Digests({"sha256": "0" * 64}), len(other))
    words = told(bench, asset(server.put("/m", other), data=payload()), known)
    assert words.endswith("; the same size as the known file 'big'")
    assert server.sent() < 20_000_000


def test_a_copy_in_a_mirror_folder_is_recognised_too(bench: Bench, tmp_path: Path) -> None:
    data, other = payload(seed=1), payload(seed=2)
    path = tmp_path / "copy.bin"
    path.write_bytes(other)
    known = Asset("old", (), Digests({"sha384": hashlib.sha384(other).hexdigest()}))
    assert "the known file 'old'" in told(bench, asset(path.as_uri(), data=data), known)


def test_what_is_not_known_is_given_no_name(server: FaultServer, bench: Bench) -> None:
    known = Asset("old", (), Digests({"sha256": "0" * 64}), 5)
    assert "known" not in told(bench, asset(server.put("/m", payload(seed=2)), data=payload(seed=1)), known)


def test_a_digest_that_differs_outweighs_an_equal_length() -> None:
    wanted, known = Asset("wanted"), Asset("other", (), Digests({"sha256": "1" * 64}), 7)
    assert recognise({"sha256": "2" * 64}, 7, wanted, [known]) == ""
    assert "the same size" in recognise({}, 7, wanted, [known])


def test_archives_and_members_of_the_catalogue_are_known_too() -> None:
    source = Source("https://example.org/a.zip", "inner.bin", Digests({"sha256": "a" * 64}))
    known = Asset("inner", (source,), Digests({"sha256": "b" * 64}), members={"x/y": Digests({"md5": "c" * 32})})
    wanted = Asset("wanted")
    assert recognise({"sha256": "a" * 64}, None, wanted, [known]) == "the archive that 'inner' is a member of"
    assert recognise({"md5": "c" * 32}, None, wanted, [known]) == "the member x/y of 'inner'"
