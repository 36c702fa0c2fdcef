"""Places in a text, there and back."""

import pytest
from cleanroom_lsp.positions import Positions
from cleanroom_lsp.server import changes
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from cleanroom.syntax.text import Span, apply

TEXTS = st.text(st.characters(exclude_categories=()) | st.sampled_from("\r\n\f\u2028\N{GRINNING FACE}a"))
ENCODINGS = st.sampled_from(list(types.PositionEncodingKind))


@given(TEXTS, ENCODINGS)
def test_there_and_back(text, encoding):
    positions = Positions(text, encoding)
    for offset in range(len(text) + 1):
        within_line_end = text[offset - 1 : offset + 1] == "\r\n" and offset > 0
        assert positions.offset(positions.position(offset)) == offset - within_line_end


@given(TEXTS, ENCODINGS, st.integers(0, 5), st.integers(0, 50))
def test_any_position_is_in_the_text(text, encoding, line, character):
    positions = Positions(text, encoding)
    offset = positions.offset(types.Position(line, character))
    assert 0 <= offset <= len(text)
    span = positions.span(types.Range(types.Position(line, character), types.Position(0, 0)))
    assert span.start <= span.end


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 11), ("utf-16", 6), ("utf-32", 5)])
def test_units(encoding, character):
    text = "x\r\né\N{GRINNING FACE}éé!"
    positions = Positions(text, encoding)
    assert positions.position(len(text)) == types.Position(1, character)
    assert positions.offset(types.Position(1, character)) == len(text)
    assert positions.offset(types.Position(1, 99)) == len(text)
    assert positions.offset(types.Position(0, 99)) == 1
    assert positions.range(Span(0, 1)) == types.Range(types.Position(0, 0), types.Position(0, 1))


@given(TEXTS, TEXTS)
def test_the_edits_of_a_change_make_it(before, after):
    assert apply(before, changes(before, after)) == after
