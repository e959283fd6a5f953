from __future__ import annotations

import io

import pytest

from jepa_core.presentation.terminal import console_for, plain_text


def test_signs_that_an_encoding_lacks_stay_distinct_and_one_column_wide() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console_for(stream).print("✔ ✘ ◌ − ü")
    stream.flush()
    assert raw.getvalue() == b"+ x o - ?\n"


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
