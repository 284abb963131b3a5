"""Dataclasses that cost nothing before the first one is made.

The standard library's :func:`dataclasses.dataclass` writes each class's methods as text and executes it, a millisecond
a class, and imports :mod:`inspect`: for the hundred classes that a command imports, and the dozen of them that it
uses, that is longer than the work. Here all classes share the same methods, which look at the class's annotations when
the first instance is made. For type checkers these are dataclasses, and :func:`dataclasses.fields`,
:func:`dataclasses.asdict`, :func:`dataclasses.replace` and :func:`inspect.signature` take them for such.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` is not needed either
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from typing import Any, TypeVar

    T = TypeVar("T")

    def revived(cls: type[T], /, **values: Any) -> T:  # noqa: D103
        ...
else:
    _MISSING = object()

    class _Field:
        def __init__(self, default, factory=_MISSING, shown=True, compared=True, by_name=False):
            self.default, self.factory, self.shown, self.compared = default, factory, shown, compared
            self.by_name = by_name

    class _Spec:
        """What the annotations of a class say: the fields in order, with what stands for those left out."""

        def __init__(self, cls):
            fields = {}
            for base in reversed(cls.__mro__):
                if "__dataclass_params__" not in vars(base):
                    continue
                for name, annotation in base.__annotations__.items():
                    if not str(annotation).startswith(("ClassVar", "typing.ClassVar")):
                        given = vars(base).get(name, _MISSING)
                        fields[name] = given if isinstance(given, _Field) else _Field(given)
                        fields[name].kind = annotation
            self.fields = fields
            self.places = [name for name, each in fields.items() if not each.by_name]
            self.defaults = {name: each.default for name, each in fields.items()}
            self.special = [name for name, each in fields.items() if each.default is _MISSING]
            self.compared = [name for name, each in fields.items() if each.compared]
            self.shown = [name for name, each in fields.items() if each.shown]
            self.after = getattr(cls, "__post_init__", None)

    def _spec(cls):
        found = cls.__dict__.get("_spec_of_fields")
        if found is None:
            found = _Spec(cls)
            cls._spec_of_fields = found
        return found

    def _init(self, /, *args, **given):
        spec = type(self).__dict__.get("_spec_of_fields") or _spec(type(self))
        values = self.__dict__
        values.update(spec.defaults)
        if args:
            if len(args) > len(spec.places) or (given and not given.keys().isdisjoint(spec.places[: len(args)])):
                raise TypeError(f"{type(self).__name__}() takes each of {', '.join(spec.places)} once")
            values.update(zip(spec.places, args))  # noqa: B905 - those left out have their defaults
        if given:
            values.update(given)
            if len(values) != len(spec.fields):
                raise TypeError(f"{type(self).__name__}() knows no {', '.join(given.keys() - spec.fields.keys())}")
        for name in spec.special:
            if values[name] is _MISSING:
                if (factory := spec.fields[name].factory) is _MISSING:
                    raise TypeError(f"{type(self).__name__}() needs {name}")
                values[name] = factory()
        if spec.after is not None:
            self.__post_init__()

    def _repr(self):
        values = self.__dict__
        return f"{type(self).__qualname__}({', '.join(f'{each}={values[each]!r}' for each in _spec(type(self)).shown)})"

    def _eq(self, other):
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.__dict__, other.__dict__
        return all(mine[each] is theirs[each] or mine[each] == theirs[each] for each in _spec(type(self)).compared)

    def _hash(self):
        values = self.__dict__
        return hash(tuple([values[each] for each in _spec(type(self)).compared]))

    def _refuse(self, name, *_):  # noqa: ARG001
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _twin(cls):
        """Return the standard library's dataclass of the same fields."""
        import dataclasses

        def made(each):
            given = {"default": each.default, "default_factory": each.factory}
            known = {name: value for name, value in given.items() if value is not _MISSING}
            return dataclasses.field(**known, repr=each.shown, compare=each.compared, kw_only=each.by_name)

        fields = [(name, each.kind, made(each)) for name, each in _spec(cls).fields.items()]
        return dataclasses.make_dataclass(cls.__name__, fields)

    class _Fields:
        def __get__(self, instance, owner):
            owner.__dataclass_fields__ = found = _twin(owner).__dataclass_fields__
            return found

    class _Signature:
        def __get__(self, instance, owner):
            import inspect

            return inspect.signature(_twin(owner))

    class _Params:
        def __init__(self, frozen):
            self.frozen = frozen

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True):  # noqa: A002
        """Make a class a dataclass: as the standard library's decorator."""

        def make(cls):
            own = vars(cls)
            cls.__init__ = _init
            if repr and "__repr__" not in own:
                cls.__repr__ = _repr
            if eq:
                if own.get("__hash__") is None:
                    cls.__hash__ = _hash if frozen else None
                if "__eq__" not in own:
                    cls.__eq__ = _eq
            if frozen:
                cls.__setattr__ = cls.__delattr__ = _refuse
            cls.__dataclass_params__ = _Params(frozen)
            cls.__dataclass_fields__ = _Fields()
            cls.__signature__ = _Signature()
            return cls

        return make if cls is None else make(cls)

    def field(*, default=_MISSING, default_factory=_MISSING, repr=True, compare=True, kw_only=False):  # noqa: A002
        """Say more of a field than its default: as the standard library's function."""
        return _Field(default, default_factory, repr, compare, kw_only)

    def revived(cls, /, **values):
        """Return an instance with fields that are known to be right: no one looks at them again."""
        spec = _spec(cls)
        made = object.__new__(cls)
        held = made.__dict__
        held.update(spec.defaults)
        held.update(values)
        for name in spec.special:
            if held[name] is _MISSING:
                held[name] = spec.fields[name].factory()
        return made

    def replace(instance, /, **changes):
        """Return an instance with other values for some fields: as the standard library's function."""
        cls = type(instance)
        spec, held = _spec(cls), instance.__dict__
        # It may hold cached properties too.
        values = held.copy() if len(held) == len(spec.fields) else {name: held[name] for name in spec.fields}
        values.update(changes)
        if len(values) != len(spec.fields):
            raise TypeError(f"{cls.__name__} has no {', '.join(changes.keys() - spec.fields.keys())}")
        made = object.__new__(cls)
        made.__dict__.update(values)
        if spec.after is not None:
            made.__post_init__()
        return made


def facts(instance: object, *names: str) -> dict[str, Any]:
    """Return some attributes by name, as the start of what is written as JSON."""
    return {name: getattr(instance, name) for name in names}
