from __future__ import annotations

import pytest

from jepa_monitor.chrome.one_line import key_line
from jepa_monitor.keys import MONITOR_KEYS, RUN_KEYS


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_key_line_fits_and_always_has_help_and_quit(width: int) -> None:
    shown = key_line((*RUN_KEYS, *MONITOR_KEYS), {}, width)
    assert shown.width == width
    assert "? help" in shown.text
    assert "q quit" in shown.text
