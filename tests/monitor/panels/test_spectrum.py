from __future__ import annotations

from jepa_monitor.charts.look import Look
from jepa_monitor.panels.spectrum import spectrum_content
from tests.monitor.panels.views import a_view


def test_a_spectrum_ends_where_the_last_bar_does() -> None:
    spectrum = [0.5**index for index in range(1, 9)] + [1e-12] * 120
    content = spectrum_content(a_view(diagnosis={"spectrum": {"context": spectrum, "target": spectrum}}), 48, 5, Look())
    assert content.title.text == "log, dimensions 1–8 of 128"
    assert content.lines[3].width > 40
