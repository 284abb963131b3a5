"""Our dataclasses behave as the standard library's."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from modelprep import structs


def _made(module: Any, **options: Any) -> tuple[Any, Any]:
    @module.dataclass(**options)
    class Point:
        """A point."""

        kind: ClassVar[str] = "point"
        x: int
        y: int = 2
        seen: list[int] = module.field(default_factory=list, compare=False, repr=False)
        last: int = module.field(kw_only=True, default=9)

    @module.dataclass(**options)
    class Named(Point):
        name: str = "n"

        def __post_init__(self) -> None:
            if self.name == "bad":
                raise ValueError(self.name)

    return Point, Named


BOTH = [structs, dataclasses]
Ours, OursNamed = _made(structs, frozen=True)
Theirs, TheirsNamed = _made(dataclasses, frozen=True)


@structs.dataclass(frozen=True)
class Pickled:
    x: int
    y: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("args", "given"),
    [((1,), {}), ((1, 3), {}), ((1,), {"name": "a"}), ((), {"x": 1, "y": 5}), ((1, 2, [3], "z"), {}), ((), {"x": 1})],
)
def test_instances_hold_the_same(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    ours, theirs = OursNamed(*args, **given), TheirsNamed(*args, **given)
    assert vars(ours) == vars(theirs)
    assert list(vars(ours)) == list(vars(theirs))
    assert repr(ours) == repr(theirs)
    assert hash(ours) == hash(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert ours == OursNamed(*args, **given)
    assert ours != theirs


@pytest.mark.parametrize(
    ("args", "given"),
    [((), {}), ((1, 2, [], "a", 5), {}), ((1,), {"x": 1}), ((1,), {"z": 1}), ((), {"y": 1}), ((), {"kind": 1, "x": 1})],
)
def test_a_wrong_call_is_refused(args: tuple[Any, ...], given: dict[str, Any]) -> None:
    for cls in (OursNamed, TheirsNamed):
        with pytest.raises(TypeError):
            cls(*args, **given)


def test_what_is_not_compared_and_each_ones_own_list() -> None:
    one, other = Ours(1, seen=[1]), Ours(1)
    assert one == other
    assert hash(one) == hash(other)
    assert Ours(1).seen is not Ours(1).seen
    assert Ours(1) != OursNamed(1)


def test_frozen_is_frozen_and_post_init_is_called() -> None:
    for cls in (OursNamed, TheirsNamed):
        made = cls(1)
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
            made.x = 2
        with pytest.raises(dataclasses.FrozenInstanceError):
            del made.x
        with pytest.raises(ValueError, match="bad"):
            cls(1, name="bad")
        for replace in (structs.replace, dataclasses.replace):
            if replace is structs.replace and cls is TheirsNamed:
                continue
            assert replace(made, y=7) == cls(1, 7)
            with pytest.raises(ValueError, match="bad"):
                replace(made, name="bad")
            with pytest.raises(TypeError):
                replace(made, nothing=1)


def test_one_that_is_not_frozen_changes_and_has_no_hash() -> None:
    for module in BOTH:
        cls, _ = _made(module)
        made = cls(1)
        made.x = 5
        assert made == cls(5)
        with pytest.raises(TypeError):
            hash(made)
        kept, _ = _made(module, eq=False)
        assert kept(1) != kept(1)
        bare, _ = _made(module, eq=False, repr=False)
        assert "object at" in repr(bare(1))


def test_the_standard_library_takes_them_for_its_own() -> None:
    assert dataclasses.is_dataclass(OursNamed)
    found, wanted = dataclasses.fields(OursNamed), dataclasses.fields(TheirsNamed)
    assert [(f.name, f.type, f.compare, f.repr) for f in found] == [(f.name, f.type, f.compare, f.repr) for f in wanted]
    assert str(inspect.signature(OursNamed)) == str(inspect.signature(TheirsNamed))

    @dataclasses.dataclass(frozen=True)
    class Mixed(OursNamed):  # type: ignore[misc, valid-type]
        more: int = 0

    assert dataclasses.asdict(Mixed(1, more=3))["more"] == 3


def test_copies_and_pickles_are_equal() -> None:
    made = Pickled(1, (2,))
    assert copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made
    # The first instance of a process may come out of a pickle.
    code = (
        "import pickle, sys; sys.path[:0] = sys.argv[1:]; a, b = pickle.load(sys.stdin.buffer)\n"
        "assert a == b and hash(a) == hash(b); print(a)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *sys.path],
        input=pickle.dumps((made, Pickled(1, (2,)))),
        capture_output=True,
        check=True,
    )
    assert ran.stdout.decode().strip() == "Pickled(x=1, y=(2,))"


def test_importing_them_executes_nothing_from_strings() -> None:
    code = (
        "import sys; from modelprep import structs; sys.exit('inspect' in sys.modules or 'dataclasses' in sys.modules)"
    )
    subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], check=True)
