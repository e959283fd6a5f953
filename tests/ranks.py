"""Several ranks for a test: forked processes that meet through gloo."""

from __future__ import annotations

import importlib
import io
import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from jepa_core.crew import Crew

PATIENCE = 60.0
"""Seconds after which ranks have hung."""


def in_ranks(size: int, work: Callable[[Crew], Any], *, may_die: bool = False) -> list[Any]:
    """What `work` returns on each rank, in their order: tensors, and plain data of them.

    With `may_die` None for a rank that was killed.

    Raises:
        AssertionError: a rank raised, with its traceback, or did not come back.
    """
    for module in ("torch._dynamo", "torch.distributed.fsdp"):
        importlib.import_module(module)  # takes long, and each rank that trains would load it for itself
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        pipes = [context.Pipe(duplex=False) for _ in range(size)]
        processes = [
            context.Process(target=_take_part, args=(Path(folder) / "meeting", Crew(rank, size), work, pipe[1]))
            for rank, pipe in enumerate(pipes)
        ]
        for process in processes:
            process.start()
        try:
            for _, ours in pipes:
                ours.close()  # so that the end of a child is the end of its pipe
            results = [_received(pipe[0], rank, may_die=may_die) for rank, pipe in enumerate(pipes)]
        finally:
            for process in processes:
                process.join(5)
                process.kill()
    raised = [f"rank {rank} raised:\n{result}" for rank, (is_sound, result) in enumerate(results) if not is_sound]
    assert not raised, "\n".join(raised)
    return [result for _, result in results]


def _received(pipe: Connection, rank: int, *, may_die: bool) -> tuple[bool, Any]:
    assert pipe.poll(PATIENCE), f"rank {rank} did not come back within {PATIENCE:g} s"
    try:
        is_sound = pipe.recv_bytes()[:1] == b"1"
    except EOFError:
        return may_die, None
    written = pipe.recv_bytes()
    return is_sound, torch.load(io.BytesIO(written), weights_only=True) if is_sound else written.decode()


def _take_part(meeting: Path, crew: Crew, work: Callable[[Crew], Any], pipe: Connection) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(crew.rank), "WORLD_SIZE": str(crew.size), "LOCAL_RANK": str(crew.rank)}
    try:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=crew.rank, world_size=crew.size)
        written = io.BytesIO()
        torch.save(work(crew), written)
        pipe.send_bytes(b"1")
        pipe.send_bytes(written.getvalue())
    except BaseException:
        pipe.send_bytes(b"0")
        pipe.send_bytes(traceback.format_exc().encode())
    finally:
        # What pytest set up in the parent is not to be torn down here.
        os._exit(0)
