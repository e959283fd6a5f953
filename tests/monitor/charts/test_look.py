from __future__ import annotations

import attrs
import pytest
from rich.cells import cell_len

from jepa_monitor.charts.glyphs import ASCII, UNICODE, Glyphs
from jepa_monitor.charts.look import COLOURS, TONES, Look


@pytest.mark.parametrize("glyphs", [ASCII, UNICODE])
def test_every_sign_is_one_cell_wide(glyphs: Glyphs) -> None:
    for value in attrs.asdict(glyphs).values():
        for sign in value.values() if isinstance(value, dict) else value:
            assert [cell_len(character) for character in sign] == [1] * len(sign)
            assert sign.isascii() or glyphs is UNICODE


def test_text_is_cleaned_and_has_no_characters_of_no_width() -> None:
    assert Look().text("a\x1b[31m\u202eb\u0301\n漢") == "a␛[31m�b␊漢"
    assert Look(ascii=True).text("τ ≥ 0.5 − 漢\x1b") == "t >=0.5 - ??"


def test_every_tone_has_a_style_and_without_colour_none_has_a_colour() -> None:
    assert set(COLOURS) == set(TONES)
    assert len({Look().style(tone).color for tone in TONES}) == len(TONES)
    assert all(Look(no_colour=True).style(tone).color is None for tone in TONES)


def test_a_theme_may_lack_tones() -> None:
    assert Look(colours={"bad": "red"}).style("good").color is None
