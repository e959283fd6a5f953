from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from jepa_core.presentation.terminal import console_for, plain_text


def test_signs_that_an_encoding_lacks_stay_distinct_and_one_column_wide() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console_for(stream).print("✔ ✘ ◌ − ü │ → ━")
    stream.flush()
    assert raw.getvalue() == b"+ x o - ? | > =\n"


def test_text_is_neither_markup_nor_wrapped_early_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    console_for(out).print("[bold]" + "x" * 120)
    assert out.getvalue() == "[bold]" + "x" * 120 + "\n"


@pytest.mark.parametrize(
    ("text", "plain"),
    [("≥ 0.9", ">=0.9"), ("a ≤ 2 ≠ 3", "a <=2 !=3"), ("≥0.9", ">0.9"), ("✔≥ 1", "+>=1"), ("x ≥", "x >")],
)
def test_a_limit_keeps_its_meaning_and_every_text_its_length(text: str, plain: str) -> None:
    assert plain_text(text) == plain
    assert len(plain) == len(text)


def test_where_there_is_no_terminal_lines_end_without_blanks() -> None:
    table = Table(box=None)
    table.add_row("one", Text("two", style="red"))
    table.add_row("longer", "and longer")
    out = io.StringIO()
    console = console_for(out)
    console.print(table)
    console.print("a  ", end="")
    console.print("b   ")
    assert [line for line in out.getvalue().split("\n") if line != line.rstrip()] == []
    assert [" ".join(line.split()) for line in out.getvalue().splitlines()] == [
        "",
        "one two",
        "longer and longer",
        "a b",
    ]


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("", 160), ("wide", 160), ("0", 160), ("-3", 160)])
def test_the_width_is_what_columns_says(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert console_for(io.StringIO()).width == width
