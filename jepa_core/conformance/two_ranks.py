"""Two ranks for a check: forked processes on the CPU that meet through gloo, and tell this process what they find.

What they tell are tensors by name, as safetensors; nothing is unpickled. The ranks end when this process has heard what
it wants to, or does not want to hear more.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import re
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic

import attrs
import torch
import torch.distributed as dist
from safetensors.torch import load, save

from jepa_core.conformance.situations import Tensors
from jepa_core.conformance.violation import NotApplicable, Raised, Stalled, Violation, place_of, raised
from jepa_core.crew import Crew
from jepa_core.discovery.offer import in_words

SIZE = 2
PATIENCE = 5.0
"""Seconds that a rank waits for the other at a meeting."""
_LONGEST = 60.0
"""Seconds that this process waits for a rank."""

Tell = Callable[[Tensors], Tensors]
"""Of a rank: tells tensors, and gives what it is told."""

_HOW_TO_MEET = (
    "Every rank has to call the same methods of its crew (or of torch.distributed), in the same order, with tensors of "
    "the same shapes, whatever its rank and its data"
)


class TwoRanks:
    """The running ranks, as this process sees them."""

    def __init__(self, pipes: list[Connection], processes: Sequence[BaseProcess]) -> None:
        self._pipes, self._processes = pipes, processes

    def heard(self) -> list[Tensors]:
        """What each rank tells next, in their order.

        Raises:
            Violation: a rank raised, or ended.
            Stalled: a rank waits for the other, which does not come.
            NotApplicable: ranks cannot work here.
        """
        until, told = monotonic() + _LONGEST, dict[int, Tensors]()
        while missing := [rank for rank in range(SIZE) if rank not in told]:
            ready = wait([self._pipes[rank] for rank in missing], max(until - monotonic(), 0))
            if not ready:
                raise Stalled(f"rank {missing[0]} of {SIZE} was not done after {_LONGEST:g} s")
            for rank in missing:
                if self._pipes[rank] in ready:
                    try:
                        told[rank] = self._received(rank)
                    except Stalled:
                        self._hear_why({*missing} - {*told, rank})
                        raise
        return [told[rank] for rank in range(SIZE)]

    def _hear_why(self, others: set[int]) -> None:
        """A rank that raised, or died, is missed at a meeting: raises what it says, if it says anything."""
        for other in others:
            if self._pipes[other].poll(1):
                self._received(other)

    def tell(self, tensors: Tensors) -> None:
        """Answer both ranks."""
        for pipe in self._pipes:
            pipe.send_bytes(_written(tensors))

    def _received(self, rank: int) -> Tensors:
        try:
            kind, content = self._pipes[rank].recv_bytes(), self._pipes[rank].recv_bytes()
        except (EOFError, OSError):
            self._processes[rank].join(1)
            code = self._processes[rank].exitcode
            why = "as it does at a meeting with tensors of other shapes"
            raise Violation(f"rank {rank} of {SIZE} ended with code {code}, {why}. {_HOW_TO_MEET}") from None
        if kind == b"told":
            return dict(load(content))
        text = content.decode()
        if kind == b"unable":
            raise NotApplicable(text)
        if kind == b"waited":
            raise Stalled(f"two ranks waited for each other: rank {rank} is at a meeting where the other is not{text}")
        violation = Violation(f"on rank {rank} of {SIZE} {text}")
        if kind == b"raised":
            violation.raised = Raised(*json.loads(self._pipes[rank].recv_bytes()))
        raise violation


@contextmanager
def two_ranks(work: Callable[[Crew, Tell], None]) -> Iterator[TwoRanks]:
    """Both at work while entered; nothing is left of them afterwards.

    Raises:
        NotApplicable: no ranks can be had here.
    """
    _require_fork()
    context = multiprocessing.get_context("fork")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jepa-conformance-")))
        ends = [context.Pipe() for _ in range(SIZE)]
        for end in (end for pair in ends for end in pair):
            stack.enter_context(closing(end))
        here, there = [pair[0] for pair in ends], [pair[1] for pair in ends]
        processes = []
        for rank in range(SIZE):
            others = [end for end in (*here, *there) if end is not there[rank]]
            arguments = (folder / "meeting", Crew(rank, SIZE), work, there[rank], others)
            processes.append(context.Process(target=_take_part, args=arguments, daemon=True))
        with warnings.catch_warnings():
            # torch's threads are not asked for anything in the ranks, which have one each.
            warnings.simplefilter("ignore", DeprecationWarning)
            for process in processes:
                process.start()
                stack.callback(_ended, process)
        for end in there:
            end.close()
        yield TwoRanks(here, processes)


def _require_fork() -> None:
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        raise NotApplicable("two ranks are forked processes, which this system does not have: check it on Linux")
    if not dist.is_available() or not dist.is_gloo_available():
        raise NotApplicable("two ranks meet through gloo, which this PyTorch is built without")
    if dist.is_initialized():
        raise NotApplicable("this process is one of several ranks already: check it in a process of its own")


def _ended(process: BaseProcess) -> None:
    process.kill()
    process.join()
    process.close()


def _take_part(
    meeting: Path, crew: Crew, work: Callable[[Crew, Tell], None], pipe: Connection, others: list[Connection]
) -> None:
    for end in others:
        end.close()

    def tell(tensors: Tensors) -> Tensors:
        _send(pipe, b"told", _written(tensors))
        try:
            return dict(load(pipe.recv_bytes()))
        except EOFError:
            # Nobody wants to hear more.
            os._exit(0)

    try:
        _become_quiet()
        torch.set_num_threads(1)
        _require_gradients()
        if any(name == "lo" for _, name in socket.if_nameindex()):
            # All is on this machine, whatever its name resolves to.
            os.environ["GLOO_SOCKET_IFNAME"] = "lo"
        patience = timedelta(seconds=PATIENCE)
        dist.init_process_group("gloo", f"file://{meeting}", timeout=patience, rank=crew.rank, world_size=crew.size)
        work(crew, tell)
    except BaseException as error:
        kind, words = _in_words(error)
        _send(pipe, kind, words)
        if kind == b"raised":
            pipe.send_bytes(json.dumps(attrs.astuple(raised(error))).encode())
    finally:
        # What the parent has set up, such as pytest's reports, is not to be torn down here.
        os._exit(0)


def _become_quiet() -> None:
    """gloo prints whom it has met, and aborts where shapes differ; whoever started the parent may read its output."""
    import resource  # which Windows lacks

    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _require_gradients() -> None:
    """Where there is a GPU, PyTorch differentiates on threads of its own, which no fork takes along."""
    try:
        torch.zeros((), requires_grad=True).backward()
    except RuntimeError as error:
        raise NotApplicable(
            "PyTorch cannot differentiate in a forked process after it has done so beside a GPU: set "
            "CUDA_VISIBLE_DEVICES= (to nothing) for the command, which works on the CPU anyway"
        ) from error


def _in_words(error: BaseException) -> tuple[bytes, bytes]:
    if isinstance(error, NotApplicable):
        return b"unable", str(error).encode()
    if isinstance(error, Violation):
        return b"violated", f"{error}{place_of(error)}".encode()
    if isinstance(error, RuntimeError) and (isinstance(error, dist.DistError) or "gloo" in str(error)):
        told = re.sub(r"^\[\S*\] ", "", str(error).strip().partition("\n")[0]).partition(". ")[0]
        return b"waited", f"{place_of(error)}. {_HOW_TO_MEET}. gloo says: {told}".encode()
    return b"raised", f"it raises {in_words(error)}{place_of(error)}".encode(errors="replace")


def _send(pipe: Connection, kind: bytes, content: bytes) -> None:
    pipe.send_bytes(kind)
    pipe.send_bytes(content)


def _written(tensors: Tensors) -> bytes:
    # Two names of one tensor are two tensors of a file.
    written: bytes = save({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()})
    return written
