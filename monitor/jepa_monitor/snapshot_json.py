"""A snapshot as JSON, for scripts."""

from __future__ import annotations

from typing import Any

import attrs

from jepa_core.recorded_numbers import encode
from jepa_core.watch.verdict import verdict_to_json
from jepa_monitor.snapshot import RunSnapshot


def snapshot_to_json(snapshot: RunSnapshot) -> dict[str, Any]:
    """Plain values; non-finite figures as the text "nan", "inf" or "-inf"."""
    plain: dict[str, Any] = encode(attrs.asdict(snapshot))
    if snapshot.verdict is not None:
        plain["verdict"] = verdict_to_json(snapshot.verdict)
    return plain
