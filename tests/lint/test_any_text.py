"""What holds for any text at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.api import check
from cleanroom.syntax.text import Source

PIECES = st.sampled_from(
    [
        "FROM debian:12\n",
        "FROM a AS b\n",
        "USER app\n",
        "ENV PIP_NO_CACHE_DIR=1\n",
        "ONBUILD ",
        "RUN ",
        "RUN --mount=type=cache,target=~/.cache ",
        "apt-get update",
        "pip install x",
        "rm -rf /var/lib/apt/lists/*",
        "npm cache clean",
        " && ",
        " || ",
        "; ",
        " \\\n",
        "\n",
        "# cleanroom: ignore=left-behind\n",
        "if true; then ",
        "; fi",
        "$(",
        ")",
        '"',
        "'",
        "<<EOF\n",
        "EOF\n",
        "{a,b}",
        "é",
    ]
)


@given(st.text() | st.lists(PIECES, max_size=25).map("".join))
@settings(max_examples=3 * settings().max_examples)
def test_any_text_gives_a_report(text: str) -> None:
    report = check(text)
    source = Source(text)
    for finding in report.findings:
        assert 0 <= finding.span.start < finding.span.end <= len(text)
        assert source.position(finding.span.start) == (finding.line, finding.column)
        quoted = text[finding.span.start : finding.span.end]
        assert finding.rule == "unused-ignore" or any(
            word in quoted for word in ("apt-get", "pip", "npm", "rm", "$")
        ), quoted
