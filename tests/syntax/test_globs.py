from fnmatch import fnmatchcase

from hypothesis import example, given
from hypothesis import strategies as st

from cleanroom.syntax.globs import is_glob, matches

names = st.text("ab./", max_size=8)
patterns = st.text("ab./*?[]!", max_size=8)


@given(name=names, pattern=patterns)
@example(name="a", pattern="a*a")
@example(name="aba", pattern="a*b*a")
@example(name="ab", pattern="*b*b")
def test_matches_what_fnmatch_matches(name: str, pattern: str) -> None:
    assert matches(name, pattern) == fnmatchcase(name, pattern)


@given(name=names, pattern=patterns)
def test_what_is_no_glob_matches_itself_alone(name: str, pattern: str) -> None:
    if not is_glob(pattern):
        assert matches(name, pattern) == (name == pattern)
