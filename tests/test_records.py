import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom import records


def both(**options: bool) -> tuple[Any, Any]:
    """Return the same class by the decorator here and by that of the standard library."""

    def make(decorate: Any, field: Any) -> Any:
        class Point:
            """A place."""

            x: int
            y: int = 2
            tags: list[str] = field(default_factory=list)

            def total(self) -> int:
                return self.x + self.y

        return decorate(slots=True, **options)(Point)

    return make(records.dataclass, records.field), make(dataclasses.dataclass, dataclasses.field)


OPTIONS = [{}, {"frozen": True}, {"order": True}, {"frozen": True, "kw_only": True}, {"frozen": True, "order": True}]
options = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options) or "plain")


@options
def test_a_record_looks_like_a_data_class(options: dict[str, bool]) -> None:
    ours, theirs = both(**options)
    for made in (ours(x=1), theirs(x=1)):
        cls = type(made)
        assert dataclasses.is_dataclass(cls)
        assert dataclasses.asdict(made) == {"x": 1, "y": 2, "tags": []}
        assert dataclasses.replace(made, y=3).y == 3
        assert not hasattr(made, "__dict__")
        assert (cls.__doc__, cls.__name__, made.total()) == ("A place.", "Point", 3)
    for name in ("__slots__", "__match_args__", "__qualname__", "__module__", "__annotations__"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert repr(ours(x=1)) == repr(theirs(x=1))
    assert [(f.name, f.type, f.default) for f in dataclasses.fields(ours)] == [
        (f.name, f.type, f.default) for f in dataclasses.fields(theirs)
    ]
    assert repr(ours.__dataclass_params__) == repr(both(**options)[0].__dataclass_params__)


@options
def test_the_signature_stays_when_the_first_instance_is_made(options: dict[str, bool]) -> None:
    ours, theirs = both(**options)
    ours(x=1)
    assert inspect.signature(ours) == inspect.signature(theirs)


def outcome(cls: Any, arguments: Any, named: Any) -> object:
    try:
        return dataclasses.astuple(cls(*arguments, **named))
    except TypeError as error:
        return str(error)


@options
@given(arguments=st.lists(st.integers(), max_size=4), named=st.dictionaries(st.sampled_from("xyz"), st.integers()))
def test_arguments_are_taken_or_refused_as_ever(options: dict[str, bool], arguments: Any, named: Any) -> None:
    ours, theirs = both(**options)
    expected = outcome(theirs, arguments, named)
    assert outcome(ours, arguments, named) == expected
    for _ in range(records._FEW + 1):  # from then on, instances are made in another way
        ours(x=1)
    assert outcome(ours, arguments, named) == expected


def test_a_wrong_call_does_not_hurt_the_next() -> None:
    ours, _ = both()
    with pytest.raises(TypeError, match="'x'"):
        ours()
    assert ours(1).x == 1


def test_each_instance_gets_a_default_of_its_own() -> None:
    ours, _ = both()
    assert ours(1).tags is not ours(1).tags


small = st.integers(0, 2)


@given(first=st.tuples(small, small), second=st.tuples(small, small))
def test_records_compare_and_hash_as_data_classes_do(first: tuple[int, int], second: tuple[int, int]) -> None:
    ours, theirs = both(frozen=True, order=True)

    def answers(cls: Any) -> list[bool]:
        a, b = cls(*first, ()), cls(*second, ())
        return [a == b, a != b, a < b, a <= b, a > b, a >= b, hash(a) == hash(b), a == (*first, ())]

    assert answers(ours) == answers(theirs)


def test_a_record_with_one_field_compares_by_it() -> None:
    @records.dataclass(frozen=True, slots=True, order=True)
    class One:
        x: int

    assert One(1) == One(1) != One(2)
    assert One(1) < One(2)
    assert len({One(1), One(1), One(2)}) == 2


def test_what_is_frozen_stays_and_what_is_not_has_no_hash() -> None:
    frozen, plain = both(frozen=True)[0](1), both()[0](1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del frozen.x
    plain.x = 2
    assert plain.x == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(plain)
    with pytest.raises(TypeError, match="not supported"):
        assert plain < plain


@records.dataclass(frozen=True, slots=True)
class Frozen:
    x: int
    y: "Plain | None" = None


@records.dataclass(slots=True)
class Plain:
    x: Any


@pytest.mark.parametrize("made", [Frozen(1), Frozen(1, Plain("a")), Plain(Frozen(2))], ids=repr)
def test_records_travel_between_processes(made: object) -> None:
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == copy.copy(made) == made


def test_a_record_that_holds_itself_has_a_repr() -> None:
    plain = Plain(None)
    plain.x = plain
    assert repr(plain) == "Plain(x=...)"


def test_what_is_left_out_is_refused() -> None:
    class Child(Plain):
        y: int

    for make in (lambda: records.dataclass(slots=False)(Plain), lambda: records.dataclass(slots=True)(Child)):
        with pytest.raises(TypeError, match="slots and no base"):
            make()
