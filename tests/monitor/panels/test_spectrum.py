from __future__ import annotations

from jepa_monitor.charts.look import Look
from jepa_monitor.panels.spectrum import SpectrumPanel, spectrum_content
from tests.monitor.panels.views import a_view


def test_a_spectrum_ends_where_the_last_bar_does_and_says_of_what_it_is_before_how_it_is_drawn() -> None:
    assert SpectrumPanel.PANE_TITLE == "spectrum of the projection"
    spectrum = [0.5**index for index in range(1, 9)] + [1e-12] * 120
    view = a_view(diagnosis={"spectrum": {"context": spectrum, "target": spectrum}})
    contents = [spectrum_content(view, width, 5, Look()) for width in (30, 40, 48, 60)]
    assert [content.title.text for content in contents] == ["", "log", "log, 1–8 of 128", "log, dimensions 1–8 of 128"]
    assert contents[2].lines[3].width > 40
