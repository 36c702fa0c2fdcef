"""Two pages about a survey, HTML and Markdown: every number comes from a query that stands beside it."""

from __future__ import annotations

import html
import io
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from msgspec import Struct

from cleanroom.project.discover import describe
from cleanroom.project.write import write_into
from cleanroom.recipes import measurements
from cleanroom.recipes.library import Library
from cleanroom.registries import library as load
from cleanroom_survey.store import TABLES

_LEFT = "outcome IN ('left', 'late', 'early')"


class ReportError(Exception):
    """A folder that holds no survey to report on; the message says what to do."""


class Question(Struct, frozen=True):
    """One table of the report: what is asked, in words and in SQL, and what to know about the answer."""

    title: str
    sql: str
    note: str = ""
    chart: str = ""  # "shares" of outcomes, or "bytes"


QUESTIONS = (
    Question(
        "What was read",
        """SELECT state, count(*) AS contents, sum(places) AS places
FROM files JOIN (SELECT content, count(*) AS places FROM places GROUP BY content) USING (content)
GROUP BY state ORDER BY contents DESC""",
        "The same content is counted once as a content, and as often as it was met as a place. All tables below count "
        "contents.",
    ),
    Question(
        "What becomes of each cache",
        f"""SELECT manager || '.' || cache AS cache, count(*) AS fills,
  count(*) FILTER (outcome = 'left') AS "left", count(*) FILTER (outcome = 'late') AS late,
  count(*) FILTER (outcome = 'early') AS early, count(*) FILTER (outcome = 'clean') AS clean,
  count(*) FILTER (outcome = 'prevented') AS prevented, count(*) FILTER (outcome = 'mounted') AS mounted,
  count(*) FILTER (outcome IN ('there', 'used')) AS needed, count(*) FILTER (outcome = 'unknown') AS unknown,
  round(100.0 * count(*) FILTER ({_LEFT}) / count(*), 1) AS "left in all, %"
FROM installs WHERE ships GROUP BY ALL ORDER BY fills DESC, cache""",
        "A row for each cache that a command in a layer that ships fills. *left*: nothing empties it; *late*: a later "
        "layer does, and the bytes stay; *early*: emptied, then filled again; *prevented*: an option, a variable or a "
        "file of the base image keeps it away; *needed*: the container reads it at its start, or an earlier layer has "
        "it all.",
        "shares",
    ),
    Question(
        "Bytes left, by the recipes' figures",
        f"""SELECT manager || '.' || cache AS cache, count(*) AS fills, any_value(typical_bytes) AS "bytes each",
  count(*) * any_value(typical_bytes) AS "bytes in all"
FROM (SELECT DISTINCT content, stage, manager, cache, typical_bytes FROM installs WHERE ships AND {_LEFT})
WHERE typical_bytes IS NOT NULL GROUP BY ALL ORDER BY "bytes in all" DESC, cache""",
        "An estimate, not a measurement of these images: the size that one install left where the recipe was measured, "
        "times the stages that leave it. What these commands really leave may be a tenth or ten times of it.",
        "bytes",
    ),
    Question(
        "Bytes left, by the proofs",
        f"""SELECT manager || '.' || cache AS cache, count(*) AS fills, any_value(builds) AS proofs,
  any_value(least) AS "each at least", any_value(median) AS "each, median", any_value(most) AS "each at most",
  count(*) * any_value(least) AS "in all at least", count(*) * any_value(median) AS "in all, by the median",
  count(*) * any_value(most) AS "in all at most"
FROM (SELECT DISTINCT content, stage, manager, cache FROM installs WHERE ships AND {_LEFT})
JOIN proofs USING (manager, cache) GROUP BY ALL ORDER BY "in all, by the median" DESC, cache""",
        "An estimate as well: what the builds that prove the recipes left (*proofs*: how many there are; `cleanroom "
        "show MANAGER` names them), times the stages that leave it. Nothing here was measured of these images. Caches "
        "without a proof, or of which only a sample was installed, are missing.",
    ),
    Question(
        "Bytes left in a file, and their spread",
        f"""SELECT count(*) AS "files that leave something",
  quantile_cont(bytes, 0.1)::BIGINT AS "a tenth leave less than",
  quantile_cont(bytes, 0.5)::BIGINT AS "half leave less than",
  quantile_cont(bytes, 0.9)::BIGINT AS "a tenth leave more than", max(bytes) AS "the most"
FROM (SELECT content, sum(typical_bytes) AS bytes FROM
  (SELECT DISTINCT content, stage, manager, cache, typical_bytes FROM installs WHERE ships AND {_LEFT})
  WHERE typical_bytes IS NOT NULL GROUP BY content)""",
        "By the same figures, so an estimate as well.",
    ),
    Question(
        "What keeps caches out",
        """SELECT manager, outcome, how, count(*) AS fills FROM installs
WHERE ships AND outcome IN ('clean', 'prevented', 'mounted') AND how IS NOT NULL
GROUP BY ALL ORDER BY fills DESC, how LIMIT 40""",
    ),
    Question(
        "Clean-ups that free nothing",
        f"""SELECT manager || '.' || cache AS cache, outcome, how AS "clean-up", count(*) AS fills,
  min(source || ': ' || path || ', line ' || line) AS "for example"
FROM installs JOIN (SELECT content, min(source) AS source, min(path) AS path FROM places GROUP BY content)
  USING (content)
WHERE ships AND how IS NOT NULL AND {_LEFT}
GROUP BY ALL ORDER BY fills DESC, cache, "clean-up" LIMIT 40""",
        "Commands that were meant to empty the cache and come in a later layer, before the last fill, or miss it.",
    ),
    Question(
        "Findings",
        """SELECT rule, severity, count(*) AS findings, count(DISTINCT content) AS files FROM findings
GROUP BY ALL ORDER BY findings DESC, rule""",
    ),
    Question(
        "What cleanroom fix mends",
        """SELECT CASE WHEN safe = findings THEN 'all of it, safely'
  WHEN safe + unsafe = findings THEN 'all of it, with --unsafe'
  WHEN safe + unsafe > 0 THEN 'some of it' ELSE 'nothing' END AS mended, count(*) AS files,
  round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS "%"
FROM (SELECT content, count(*) AS findings, count(*) FILTER (fix = 'safe') AS safe,
  count(*) FILTER (fix = 'unsafe') AS unsafe FROM findings WHERE severity != 'info' GROUP BY content)
GROUP BY ALL ORDER BY files DESC""",
        "Files with at least one warning or error.",
    ),
    Question(
        "Not read",
        """SELECT state, problem, count(*) AS contents,
  min(source || ': ' || path || coalesce(', line ' || line, '')) AS "for example"
FROM files JOIN (SELECT content, min(source) AS source, min(path) AS path FROM places GROUP BY content)
  USING (content)
WHERE state != 'read' GROUP BY ALL ORDER BY contents DESC, problem LIMIT 40""",
    ),
)


class Answer(Struct, frozen=True):
    """A question with its rows."""

    question: Question
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def figures(library: Library) -> pa.Table:
    """Return what the proofs measured of each cache: in how many builds, and the least, the median and the most bytes.

    Those in which only a sample was installed, and those that no longer hold, do not count.
    """
    sizes: dict[tuple[str, str], list[int]] = {}
    for recipe in library.recipes():
        samples = {measurements.proof_id(proof) for proof in recipe.proof if proof.sample}
        for item in measurements.current(recipe).proofs:
            for cache, held in item.without.caches.items():
                if held.bytes and item.proof not in samples:
                    sizes.setdefault((recipe.id, cache), []).append(held.bytes)
    rows = [
        {
            "manager": manager,
            "cache": cache,
            "builds": len(found),
            "least": min(found),
            "median": int(statistics.median(found)),
            "most": max(found),
        }
        for (manager, cache), found in sizes.items()
    ]
    names = (("manager", pa.string()), ("cache", pa.string()))
    return pa.Table.from_pylist(
        rows, pa.schema([*names, *((name, pa.int64()) for name in ("builds", "least", "median", "most"))])
    )


def ask(folder: Path, library: Library | None = None) -> list[Answer]:
    """Return the answers that the tables in ``folder`` give. Raises ReportError.

    The proofs are those of ``library``, by default of all recipes there are.
    """
    import duckdb

    if not (folder / "survey.json").is_file():
        raise ReportError(f"{folder}: no survey here; make one with: cleanroom survey SOURCE -o {folder}")
    with duckdb.connect(":memory:") as connection:
        for name in TABLES:
            files = sorted(str(file) for file in (folder / name).glob("*.parquet") if not file.name.startswith("."))
            if name in ("places", "files") and not files:
                raise ReportError(f"{folder}: the survey is empty; fill it with: cleanroom survey SOURCE -o {folder}")
            if files:
                connection.read_parquet(files).create_view(name)
            else:
                connection.register(name, TABLES[name].empty_table())
        connection.register("proofs", figures(library or load()))
        answers = []
        for question in QUESTIONS:
            result = connection.execute(question.sql)
            columns = tuple(column[0] for column in result.description or ())
            answers.append(Answer(question, columns, tuple(result.fetchall())))
        return answers


def write(folder: Path, output: Path) -> Sequence[Path]:
    """Write ``report.html`` and ``report.md`` about the survey in ``folder``. Raises ReportError."""
    answers = ask(folder)
    pages = {"report.html": as_html(answers), "report.md": as_markdown(answers)}
    try:
        write_into(output, pages)
    except OSError as error:
        raise ReportError(f"{error.filename}: {describe(error)}") from None
    return [output / name for name in pages]


def as_markdown(answers: Iterable[Answer]) -> str:
    """Return the page in Markdown: tables, each with its query."""
    parts = ["# Survey of Dockerfiles\n"]
    for answer in answers:
        parts.append(f"## {answer.question.title}\n")
        if answer.question.note:
            parts.append(f"{answer.question.note}\n")
        if answer.rows:
            right = _numeric(answer)
            parts.append("| " + " | ".join(answer.columns) + " |")
            parts.append(
                "|" + "|".join("---:" if column in right else "---" for column in range(len(answer.columns))) + "|"
            )
            parts += [
                "| " + " | ".join(_cell(value).replace("|", "\\|") for value in row) + " |" for row in answer.rows
            ]
        else:
            parts.append("None.")
        parts.append(f"\n<details><summary>Query</summary>\n\n```sql\n{answer.question.sql}\n```\n\n</details>\n")
    return "\n".join(parts)


def as_html(answers: Iterable[Answer]) -> str:
    """Return the page in HTML: one file, no outside requests."""
    sections = []
    for answer in answers:
        question = answer.question
        right = _numeric(answer)
        heads = "".join(
            f"<th{_align(index in right)}>{html.escape(name)}</th>" for index, name in enumerate(answer.columns)
        )
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td{_align(index in right)}>{html.escape(_cell(value))}</td>" for index, value in enumerate(row)
            )
            + "</tr>"
            for row in answer.rows
        )
        table = f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        sections.append(
            f"<section><h2>{html.escape(question.title)}</h2>"
            + (f"<p>{_emphasis(html.escape(question.note))}</p>" if question.note else "")
            + (_chart(answer) if question.chart and answer.rows else "")
            + (table if answer.rows else "<p>None.</p>")
            + f"<details><summary>Query</summary><pre>{html.escape(question.sql)}</pre></details></section>"
        )
    return _PAGE.replace("{sections}", "\n".join(sections))


def _emphasis(text: str) -> str:
    import re

    return re.sub(r"\*(\w+)\*", r"<em>\1</em>", text)


def _align(right: bool) -> str:
    return ' class="number"' if right else ""


def _numeric(answer: Answer) -> set[int]:
    return {
        index
        for index in range(len(answer.columns))
        if any(isinstance(row[index], (int, float)) for row in answer.rows)
        and all(row[index] is None or isinstance(row[index], (int, float)) for row in answer.rows)
    }


def _cell(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


_COLOURS = {
    "left": "#c0392b",
    "late": "#e67e22",
    "early": "#f1c40f",
    "unknown": "#95a5a6",
    "needed": "#5d6d7e",
    "clean": "#27ae60",
    "prevented": "#2e86c1",
    "mounted": "#8e44ad",
}
_BARS = 25  # that can still be read


def _chart(answer: Answer) -> str:
    """Return a chart as SVG, to stand in the page."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    rows = answer.rows[:_BARS]
    labels = [str(row[0]) for row in rows]
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cleanroom", "font.family": "sans-serif"}):
        figure, axes = pyplot.subplots(figsize=(9, 0.32 * len(rows) + 1.1))
        if answer.question.chart == "shares":
            start = [0.0] * len(rows)
            for name, colour in _COLOURS.items():
                index = answer.columns.index(name)
                shares = [100 * row[index] / row[1] for row in rows]
                axes.barh(labels, shares, left=start, color=colour, label=name, height=0.75)
                start = [a + b for a, b in zip(start, shares, strict=True)]
            axes.set_xlabel("% of fills")
            axes.set_xlim(0, 100)
            axes.legend(ncols=8, loc="lower center", bbox_to_anchor=(0.45, 1.0), frameon=False, fontsize=8)
        else:
            axes.barh(labels, [row[3] / 1e9 for row in rows], color="#c0392b", height=0.75)
            axes.set_xlabel("GB in all (estimate)")
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        image = io.StringIO()
        figure.savefig(image, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
        pyplot.close(figure)
    svg = image.getvalue()
    return f'<figure role="img" aria-label="{html.escape(answer.question.title)}">{svg[svg.index("<svg") :]}</figure>'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Survey of Dockerfiles</title>
<style>
:root { color-scheme: light dark; --ink: #1c2833; --paper: #fdfefe; --line: #d5d8dc; --soft: #f2f4f4; }
@media (prefers-color-scheme: dark) { :root { --ink: #eaecee; --paper: #17202a; --line: #34495e; --soft: #212f3d; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 70rem; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { white-space: nowrap; } .number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
figure svg text { fill: var(--ink) !important; } figure svg g.patch path[style*="#000000"],
figure svg use { stroke: var(--ink) !important; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; font-size: .8rem; }
summary { cursor: pointer; font-size: .85rem; opacity: .75; margin-top: .5rem; }
</style></head><body>
<h1>Survey of Dockerfiles</h1>
{sections}
</body></html>
"""
