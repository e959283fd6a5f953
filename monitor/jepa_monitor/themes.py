"""Themes of the monitor: the colours of Textual's widgets, and of the roles that charts and panels draw in.

One accent for what matters now; green, amber and red for judgements alone, and in the colour-blind themes blue,
yellow and vermilion after Okabe and Ito.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
from textual.theme import Theme

if TYPE_CHECKING:
    from jepa_monitor.charts.look import Look
    from jepa_monitor.charts.spec import Tone

DEFAULT_THEME = "dark"


@attrs.frozen(kw_only=True)
class MonitorTheme:
    """Colours by role."""

    name: str
    is_dark: bool
    background: str
    surface: str
    tones: Mapping[Tone, str]

    def textual(self) -> Theme:
        """For Textual's own widgets."""
        return Theme(
            name=textual_name(self.name),
            primary=self.tones["accent"],
            secondary=self.tones["second"],
            accent=self.tones["accent"],
            warning=self.tones["warning"],
            error=self.tones["bad"],
            success=self.tones["good"],
            foreground=self.tones["plain"],
            background=self.background,
            surface=self.surface,
            panel=self.surface,
            dark=self.is_dark,
        )

    def look(self, *, ascii_only: bool, no_colour: bool) -> Look:
        """For charts, panels and lines."""
        from jepa_monitor.charts.look import Look

        on_ground = {tone: f"{colour} on {self.background}" for tone, colour in self.tones.items()}
        return Look(ascii=ascii_only, no_colour=no_colour, colours=on_ground)


def textual_name(name: str) -> str:
    """What Textual calls a theme, apart from its own."""
    return f"jepa-{name}"


THEMES: Mapping[str, MonitorTheme] = {
    theme.name: theme
    for theme in (
        MonitorTheme(
            name="dark",
            is_dark=True,
            background="#0f1216",
            surface="#171b21",
            tones={
                "accent": "#5fb3f0", "second": "#e8a33d", "third": "#c58af0", "fourth": "#57c7c1", "good": "#63c174",
                "warning": "#e5b93c", "bad": "#f0645a", "dim": "#717b87", "plain": "#d5dae1",
            },
        ),
        MonitorTheme(
            name="light",
            is_dark=False,
            background="#fbfbf9",
            surface="#eeeeea",
            tones={
                "accent": "#0b63b0", "second": "#a65a00", "third": "#7d3fb2", "fourth": "#00756f", "good": "#1c7a34",
                "warning": "#8f6a00", "bad": "#bb2a20", "dim": "#767b82", "plain": "#23272d",
            },
        ),
        MonitorTheme(
            name="colour-blind",
            is_dark=True,
            background="#0f1216",
            surface="#171b21",
            tones={
                "accent": "#56b4e9", "second": "#e69f00", "third": "#cc79a7", "fourth": "#b8b8ff", "good": "#2fb3a0",
                "warning": "#f0e442", "bad": "#e8702a", "dim": "#7a828c", "plain": "#dfe3e8",
            },
        ),
    )
}  # fmt: skip
"""By name, in the order in which a key goes through them."""


def next_theme(name: str) -> str:
    """The theme after `name`."""
    names = list(THEMES)
    return names[(names.index(name) + 1) % len(names)] if name in names else DEFAULT_THEME
