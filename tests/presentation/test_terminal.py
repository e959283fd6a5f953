from __future__ import annotations

import io

from jepa_core.presentation.terminal import console_for


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
