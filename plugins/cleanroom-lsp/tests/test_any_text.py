"""Whatever is typed, at whatever place something is asked: an answer or none, and never an error."""

import tempfile
from pathlib import Path

import pytest
from cleanroom_lsp.analysis import analyse
from cleanroom_lsp.completion import clean_ups
from cleanroom_lsp.hover import hover
from cleanroom_lsp.server import changes
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.syntax.text import apply

PIECES = (
    *(
        "FROM debian:12\n",
        "FROM python:3.12 AS a\n",
        "RUN apt-get update",
        " && ",
        " && apt-get install -y x",
        "; ",
        " \\\n",
    ),
    *("RUN pip install x\n", "rm -rf ", "&", "RUN <<E\n", "E\n", "\n", "'", "# cleanroom: ignore=apt\n", "if x; then "),
    *("COPY --from=a /root /root\n", "USER y\n", "\N{GRINNING FACE}", "\r\n"),
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)


@pytest.fixture(scope="module")
def path():
    with tempfile.TemporaryDirectory() as folder:
        yield str(Path(folder) / "Dockerfile")


@given(st.data())
def test_any_text(path, data):
    text = data.draw(TEXTS)
    offset = data.draw(st.integers(0, len(text)))
    analysis = analyse(path, "", text, None)
    assert analysis is not None
    assert (analysis.ledger is None) == bool(analysis.problems)
    for item in clean_ups(analysis, offset, asked=data.draw(st.booleans())):
        assert 0 <= item.span.start <= item.span.end == offset
        assert item.text.startswith(text[item.span.start : offset])
    if analysis.ledger is not None and (told := hover(analysis.ledger, offset)) is not None:
        assert told[1].start <= offset < told[1].end
    after = analysis.fix_all()
    assert apply(text, changes(text, after)) == after
