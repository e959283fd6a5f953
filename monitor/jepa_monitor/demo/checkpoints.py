"""Checkpoints of the demo: complete and verifiable as a trainer's, but with no tensors, as nothing was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jepa_core.run_directory.stored_checkpoints import FILES, FORMAT, MANIFEST, checkpoint_name, file_sum, manifest_sum

_NO_TENSORS = (2).to_bytes(8, "little") + b"{}"
"""A safetensors file without tensors: the length of its header, and the header."""


def write_checkpoint(folder: Path, step: int, epoch: float) -> Path:
    """Write `step-N` into the folder `checkpoints/` of a run, with a manifest that verifies."""
    path = folder / checkpoint_name(step)
    path.mkdir()
    state = json.dumps({"progress": {"step": step, "epoch": epoch}}).encode()
    for name, content in zip(FILES, (_NO_TENSORS, state), strict=True):
        (path / name).write_bytes(content)
    sums = {name: {"sha256": file_sum(path / name), "bytes": (path / name).stat().st_size} for name in FILES}
    manifest: dict[str, Any] = {"format": FORMAT, "step": step, "files": sums}
    manifest["sum"] = manifest_sum(manifest)
    (path / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return path
