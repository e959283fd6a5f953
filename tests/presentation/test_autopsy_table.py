"""An autopsy on screens of 60, 80 and 120 columns, and with foreign text in all its places."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from rich.cells import cell_len

from jepa_core.autopsy.death import Death
from jepa_core.autopsy.examining import Autopsy, BadComponent, NewestCheckpoint
from jepa_core.presentation.autopsy_table import autopsy_table
from jepa_core.run_directory.bad_batches import BadBatch
from jepa_core.run_directory.events import Event
from tests.presentation.consoles import printed
from tests.presentation.test_every_table import FIGURES, HOSTILE

NOW = 1_795_975_686.0
BATCH = BadBatch(
    step=57, micro=1, seed=3, sequences=((1, 2), tuple(range(40))), tasks=tuple(f"task {i}" for i in range(12)),
    tensors="step-57.safetensors", path=Path("runs/mine/bad_batches/step-57.json"),
)  # fmt: skip
AUTOPSY = Autopsy(
    run="optimized-20261129-175805",
    path=Path("runs/optimized-20261129-175805"),
    recipe="optimized",
    death=Death(kind="component", state="failed", what="loss 'mine' raised ValueError: no", time=NOW - 90, exit_code=1),
    step=57,
    total_steps=1440,
    epoch=1.25,
    last_event=Event(sequence=9, time=NOW, step=50, name="checkpoint", message="Checkpoint at step 50."),
    rows=tuple(
        {"step": float(i), "epoch": i / 40, "loss.total": 5.2, "grad.norm": 1e9, "time.step": 0.5} for i in (1, 2)
    ),
    not_finite="output of online.encoder.layers.1 (3 of 2,000 elements, shape 40 × 50)",
    batches=(BATCH, attrs.evolve(BATCH, rank=1, ranks=2, at_fault=(5,), micro=None)),
    fired=tuple(
        Event(sequence=i, time=NOW, step=i, severity="warning", name=f"scenario {i}", message="m") for i in range(9)
    ),
    component=BadComponent(
        family="loss", name="mine", distribution="jepa-mine", version="0.1", place="x.py:41", remedy="update jepa-mine."
    ),
    out_of_memory={"train.batch_size": 8, "train.accumulate": 4},
    traceback=('  File "x.py", line 41, in forward', '    raise ValueError("no")', "ValueError: no"),
    checkpoint=NewestCheckpoint(step=50, faults=("step-55: it is damaged",), lost_steps=7, lost_seconds=3.5),
    unreadable=("metrics.jsonl cannot be read",),
)
COMMANDS = {"jepa plugins check jepa-mine": "tries it alone", "jepa run --resume optimized-20261129-175805": "goes on"}


def lines(autopsy: Autopsy, width: int) -> list[str]:
    return printed(autopsy_table(autopsy, COMMANDS, width, now=NOW), width=width)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_all_of_it_is_told_within_the_screen(width: int) -> None:
    shown = lines(AUTOPSY, width)
    assert all(cell_len(line) <= width for line in shown if "jepa " not in line)
    words = " ".join(" ".join(shown).split())
    for told in (
        "✘ failed · step 57 of 1,440 · epoch 1.25 · exit code 1",
        "1 min 30 s ago",
        "loss mine of jepa-mine 0.1, at x.py:41",
        "output of online.encoder.layers.1 (3 of 2,000 elements",
        "seed 3, step 57, micro-batch 1: sequences 0, 1, 2, 3, 4, 5, 6, 7 … (40) of task 0,",
        "seed 3, step 57, rank 1: sequences at fault 5 of task 0",
        "▲ scenario 8 at step 8: m",
        "and 3 before",
        "step 50 is the newest that verifies: 7 steps after it are lost, about 3.5 s of training",
        "not usable: step-55: it is damaged",
        "ValueError: no",
        "Next: jepa plugins check jepa-mine",
    ):
        assert told in words, told


def test_little_is_told_where_little_is_known() -> None:
    bare = Autopsy(
        run="a", path=Path("a"), recipe="", death=Death(kind="unknown", state="unknown", what="Nobody can say."),
        step=None, total_steps=0, epoch=None, last_event=None, rows=(), not_finite="", batches=(), fired=(),
        component=None, out_of_memory={}, traceback=(), unreadable=(),
        checkpoint=NewestCheckpoint(step=None, faults=(), lost_steps=None, lost_seconds=None),
    )  # fmt: skip
    shown = printed(autopsy_table(bare, {}, 80))
    assert shown == ["a · ? unknown", "", "  what          Nobody can say.", "  checkpoint    none can be used"]


@settings(max_examples=60, deadline=None)
@given(HOSTILE, FIGURES)
def test_foreign_text_in_any_place_acts_nowhere(text: str, figure: float) -> None:
    event = Event(sequence=1, time=figure, step=3, name=text, message=text)
    hostile = attrs.evolve(
        AUTOPSY,
        run=text,
        death=Death(kind="failed", state="failed", what=text, time=figure),
        last_event=event,
        rows=({"step": figure, "epoch": figure, "loss.total": figure},),
        not_finite=text,
        batches=(attrs.evolve(BATCH, tasks=(text,), cause=text, path=Path(f"x{text.replace(chr(0), '')}")),),
        fired=(event,),
        component=BadComponent(family=text, name=text, distribution=text, version=text, place=text, remedy=text),
        traceback=(text,),
        checkpoint=NewestCheckpoint(step=1, faults=(text,), lost_steps=1, lost_seconds=1.0),
        unreadable=(text,),
    )
    shown = printed(autopsy_table(hostile, {text: text}, 80, now=NOW), width=80)
    assert not any(unicodedata.category(letter) in {"Cc", "Cf", "Zl", "Zp"} for line in shown for letter in line)
