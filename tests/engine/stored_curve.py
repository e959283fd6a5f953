"""A hundred deterministic steps on one thread of the CPU, as figures in a file that later versions are held to.

    python -m tests.engine.stored_curve        writes stored_curve.json anew

To be renewed with a change that is meant to change numbers, or on a newer torch; never to make a test pass. The curve
holds what could drift: codebook, revival, queue, averages, dropout, views, clip, schedule.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from jepa_core.engine.checkpoint import split_tree
from jepa_core.engine.device import numerics_kept, processor_model, set_numerics
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed
from tests.conftest import TINY
from tests.engine.training import KeptRecord, a_trainer, lasting, train

STORED = Path(__file__).with_suffix(".json")
OVERRIDES = (
    "train.epochs=25",
    "train.accumulate=2",
    "train.batch_size=12",
    "train.clip_norm=0.5",
    "train.deterministic=true",
    "encoder.dropout=0.1",
    "augmentation.colours=true",
    "losses.invariance.weight=0.1",
    "target.ema_decay_end=1.0",
    "schedule.warmup_steps=10",
    "diagnostics.log_every_steps=10",
    "diagnostics.every_steps=50",
    "diagnostics.validate_every_epochs=5",
    "checkpoint.every_epochs=1000",
)


def machine() -> dict[str, str]:
    """On what figures are equal to the last bit."""
    return {
        "torch": torch.__version__,
        "processor": processor_model(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def curve(folder: Path) -> dict[str, Any]:
    """Steps taken, rows as hexadecimal numbers, and the SHA-256 of the last state."""
    threads = torch.get_num_threads()
    (folder / "tiny.toml").write_text(TINY)
    recipe = load_recipe(folder / "tiny.toml", overrides=OVERRIDES, registry=installed()).recipe
    try:
        with numerics_kept():
            torch.set_num_threads(1)
            set_numerics(deterministic=True, tf32=False)
            trainer = a_trainer(recipe, folder / "checkpoints", record=(record := KeptRecord()))
            steps = train(trainer).step
    finally:
        torch.set_num_threads(threads)
    tensors, _ = split_tree({name: trainer.state.read()[name] for name in ("online", "target", "losses", "optimizer")})
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    rows = [{name: float(value).hex() for name, value in lasting(row).items()} for row in record.rows]
    return {"machine": machine(), "steps": steps, "state": digest.hexdigest(), "rows": rows}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        STORED.write_text(json.dumps(curve(Path(made)), indent=1) + "\n")
