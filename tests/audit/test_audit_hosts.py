"""How many independent hosts can give each asset."""

from __future__ import annotations

import socket

import pytest
from audit.conftest import pinned
from hypothesis import given
from hypothesis import strategies as st

from modelprep.audit import count_hosts, subjects
from modelprep.audit.hosts import independent_host
from modelprep.recipe.catalogue import Catalogue
from modelprep.recipe.schema import Source
from modelprep.url import Url


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://github.com/o/r/raw/main/a", "https://raw.githubusercontent.com/o/r/main/a"),
        ("https://github.com/o/r/raw/main/a", "https://media.githubusercontent.com/media/o/r/main/a"),
        ("http://download.tensorflow.org/m.tgz", "https://storage.googleapis.com/download.tensorflow.org/m.tgz"),
        ("https://s3.amazonaws.com/bucket/a", "https://bucket.s3.us-west-2.amazonaws.com/a"),
        ("https://bucket.s3.amazonaws.com/a", "https://bucket.s3-accelerate.dualstack.amazonaws.com/a"),
        ("https://drive.google.com/file/d/x/view", "https://drive.usercontent.google.com/download?id=x"),
    ],
)
def test_names_of_one_host_are_one(one: str, other: str) -> None:
    assert independent_host(Url(one)) == independent_host(Url(other)) != ""


def test_two_buckets_of_one_provider_are_two() -> None:
    assert independent_host(Url("https://s3.amazonaws.com/one/a")) != independent_host(
        Url("https://s3.amazonaws.com/two/a")
    )


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://s3.amazonaws.com/", "http://[", "file:///"]))
def test_any_text_has_a_host_or_none(text: str, start: str) -> None:
    assert isinstance(independent_host(Url(start + text)), str)


def test_hosts_are_counted_archives_apart_and_the_gravest_host_comes_first() -> None:
    data = b"x"
    result = count_hosts(
        [
            pinned("two", "https://github.com/o/r/raw/main/a", "https://example.org/a", data=data),
            pinned("one", "https://example.org/b", Source("http://example.org/c"), data=data),
            pinned("loose", "https://example.net/d"),
            pinned("slot"),
        ]
    )
    rows = {asset.key: (asset.hosts, len(asset.archives)) for asset in result.assets}
    assert rows == {
        "loose": (("example.net",), 0),  # nothing is asked of archives that nothing pins
        "one": (("example.org",), 2),
        "two": (("github.com", "example.org"), 3),
    }
    assert [asset.key for asset in result.assets] == ["loose", "one", "two"]
    assert (result.pinned, result.pinned_with_two, result.pinned_with_archives) == (2, 1, 2)
    assert result.by_host["example.org"] == (2, ("one",), ("Demo-one",))
    assert result.by_host["github.com"] == (1, (), ())
    assert next(iter(result.by_host)) in ("example.net", "example.org")


def test_the_shipped_recipes_are_counted_without_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    catalogue = Catalogue.open()
    found = subjects(catalogue.resolve(["all"]), catalogue.shared.values())
    result = count_hosts(found)
    assert result.pinned > 60
    # What archives would be asked for cannot be counted on, but no pinned asset may hang on one host alone.
    assert result.pinned_with_archives == result.pinned
    assert result.pinned_with_two >= 30


def test_the_assets_of_a_variant_are_looked_at_too() -> None:
    catalogue = Catalogue.open()
    plain = catalogue.resolve(["all"])
    variants = [catalogue.recipe(recipe.name, variant) for recipe in plain for variant in recipe.variants]
    assert variants
    keys = {subject.key for subject in subjects([*plain, *variants])}
    for recipe in variants:
        for asset in recipe.assets.values():
            assert asset.shared in keys or any(key.endswith(f"#{asset.id}") for key in keys)
