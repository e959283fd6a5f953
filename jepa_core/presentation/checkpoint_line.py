"""Which checkpoint was looked at, on what and where, in a line."""

from __future__ import annotations

from rich.text import Text

from jepa_core.visible_text import clean


def checkpoint_line(*, run: str, step: int, why: str, device: str, data: str) -> Text:
    """Such as "digits-2026… · step 808 (best: highest retrieval) · NVIDIA H200, bf16 · 7,188 sequences of …"."""
    reason = f" ({clean(why)})" if why else ""
    return Text(f"{clean(run)} · step {step:,}{reason} · {device} · {clean(data, 200)}")
