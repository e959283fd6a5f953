from __future__ import annotations

import pytest

from jepa_monitor.chrome.one_line import key_line
from jepa_monitor.keys import MONITOR_KEYS, RUN_KEYS
from jepa_monitor.panels.line import line


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_key_line_fits_and_always_has_help_and_quit(width: int) -> None:
    shown = key_line((*RUN_KEYS, *MONITOR_KEYS), {}, width)
    assert shown.width == width
    assert "? help" in shown.text
    assert "q quit" in shown.text


def test_a_narrow_key_line_keeps_what_acts_on_the_run() -> None:
    text = key_line((*RUN_KEYS, *MONITOR_KEYS), {}, 80).text
    assert all(words in text for words in ("r rollback", "v verdict", "a alerts", "d recipe", "/ filter"))
    assert "x axis" not in text


def test_what_something_waits_for_is_kept_longest() -> None:
    assert "v verdict" in key_line((*RUN_KEYS, *MONITOR_KEYS), {}, 30, urgent=("verdict",)).text
    assert "v verdict" not in key_line((*RUN_KEYS, *MONITOR_KEYS), {}, 30).text


def test_the_hint_has_room_beside_the_keys_that_matter_most() -> None:
    text = key_line((*RUN_KEYS, *MONITOR_KEYS), {}, 80, hint=line(" 1-5 panes ")).text
    assert all(words in text for words in ("r rollback", "v verdict", "a alerts", "d recipe", "/ filter", "1-5 panes"))
    assert "panes" not in key_line((*RUN_KEYS, *MONITOR_KEYS), {}, 60, hint=line(" 1-5 panes ")).text
