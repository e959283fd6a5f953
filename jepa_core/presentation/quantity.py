"""Numbers as people write them: thousands, millions, durations."""

from __future__ import annotations


def count_text(count: int) -> str:
    """4_170_000 → "4.2 M", 50_000 → "50,000"."""
    return f"{count / 1e6:.1f} M" if count >= 1_000_000 else f"{count:,}"


def duration_text(seconds: float) -> str:
    """9.13 → "9.1 s", 75.2 → "1 min 15 s", 9000 → "2 h 30 min", 200_000 → "2 d 7 h", 1e11 → "3,169 years"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days < 2 * 365 else f"{days / 365.25:,.0f} years"


def bytes_text(count: int) -> str:
    """900 → "900 bytes", 4_200_000 → "4.2 MB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
