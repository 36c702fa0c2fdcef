"""Spans, edits, joined text and diffs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.syntax.text import Edit, MappedText, Source, Span, apply, diff


def test_span_covers() -> None:
    assert Span(3, 5).cover(Span(1, 4)) == Span(1, 5)
    assert Span(1, 2).cover(Span(4, 6)) == Span(4, 6).cover(Span(1, 2)) == Span(1, 6)


def test_source_lines() -> None:
    source = Source("ab\n\r\nc\r\n")
    assert [source.line(number) for number in range(1, len(source) + 1)] == ["ab", "", "c", ""]
    assert [source.line_start(number) for number in range(1, len(source) + 1)] == [0, 3, 5, 8]
    assert source.position(0) == (1, 1)
    assert source.position(2) == (1, 3)
    assert source.position(5) == (3, 1)
    assert source.position(8) == (4, 1)


@given(st.text(alphabet="ab\r\n"))
def test_source_position_is_where_the_line_says(text: str) -> None:
    source = Source(text)
    assert len(source) == text.count("\n") + 1
    for offset in range(len(text) + 1):
        line, column = source.position(offset)
        assert source.line_start(line) + column - 1 == offset
        assert line == text.count("\n", 0, offset) + 1


def test_mapped_text() -> None:
    # Of "RUN a \<line feed>  b" without the backslash and the line feed.
    mapped = MappedText([("a ", 4), ("", 6), ("  b", 8)])
    assert mapped.text == "a   b"
    assert len(mapped) == 5
    assert [mapped.offset(i) for i in range(6)] == [4, 5, 8, 9, 10, 11]
    assert mapped.span(0, 5) == Span(4, 11)
    assert mapped.span(1, 2) == Span(5, 6)
    assert mapped.span(2, 2) == Span(8, 8)
    assert list(mapped.pieces(1, 4)) == [(" ", 5), ("  ", 8)]
    assert mapped.slice(1, 4).span(0, 2) == Span(5, 9)
    assert repr(mapped) == "MappedText('a   b')"


def test_mapped_text_without_characters() -> None:
    mapped = MappedText([])
    assert (mapped.text, len(mapped), mapped.offset(0), mapped.span(0, 0)) == ("", 0, 0, Span(0, 0))
    assert list(mapped.pieces()) == []
    assert mapped.slice(0, 3).text == ""


def test_pieces_that_touch_are_one() -> None:
    assert list(MappedText([("ab", 1), ("c", 3), ("d", 5)]).pieces()) == [("abc", 1), ("d", 5)]


@st.composite
def files_and_spans(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """A file, and spans of it in their order, none over another."""
    text = draw(st.text(alphabet="abcdef\n"))
    ends = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return text, [Span(*both) for both in list(pairwise(ends))[::2]]


@given(files_and_spans(), st.integers(0, 30), st.integers(0, 30))
def test_every_character_knows_where_it_is_from(drawn: tuple[str, list[Span]], start: int, end: int) -> None:
    text, spans = drawn
    mapped = MappedText([(text[span.start : span.end], span.start) for span in spans])
    part = mapped.slice(start, end)
    assert part.text == mapped.text[start:end]
    for joined in (mapped, part):
        assert all(text[joined.offset(i)] == character for i, character in enumerate(joined.text))
        assert "".join(piece for piece, _ in joined.pieces()) == joined.text
        assert all(text[offset : offset + len(piece)] == piece for piece, offset in joined.pieces())
    if part.text:
        span = part.span(0, len(part))
        assert text[span.start] == part.text[0]
        assert text[span.end - 1] == part.text[-1]


def test_apply() -> None:
    edits = [Edit(Span(4, 5), "E"), Edit(Span(0, 1), ""), Edit(Span(2, 2), "+"), Edit(Span(5, 6), "F")]
    assert apply("abcdef", edits) == "b+cdEF"
    assert apply("abc", []) == "abc"


def test_apply_inserts_before_a_replacement_at_the_same_place() -> None:
    assert apply("abc", [Edit(Span(1, 2), "B"), Edit(Span(1, 1), "+")]) == "a+Bc"


def test_apply_refuses_edits_that_overlap() -> None:
    with pytest.raises(ValueError, match="overlap at offset 1"):
        apply("abc", [Edit(Span(0, 2), ""), Edit(Span(1, 3), "")])


@given(files_and_spans())
def test_apply_changes_what_is_under_the_spans_and_nothing_else(drawn: tuple[str, list[Span]]) -> None:
    text, spans = drawn
    assert apply(text, [Edit(span, text[span.start : span.end]) for span in spans]) == text
    deleted = apply(text, [Edit(span, "") for span in spans])
    assert len(deleted) == len(text) - sum(span.end - span.start for span in spans)


def test_diff() -> None:
    assert diff("a\n", "a\n", "x") == ""
    assert diff("a\nb\n", "a\nc\n", "x") == "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"


def test_diff_without_a_line_end_at_the_end() -> None:
    end = "\\ No newline at end of file\n"
    assert diff("a", "b", "x") == f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n{end}+b\n{end}"
    assert diff("a", "a\n", "x") == f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n{end}+a\n"


def test_diff_knows_no_other_line_end() -> None:
    before, after = "a\fb\rc\u2028d\r\n", "a\fb\rc\u2028e\r\n"
    assert diff(before, after, "x") == f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{before}+{after}"
