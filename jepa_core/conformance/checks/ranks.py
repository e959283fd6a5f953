"""Ranks that share a batch: averaged over them, what a component gives is what one process makes of the whole batch.

Two ranks take some steps on half a batch each, and one process the same steps on all of it. The halves are unlike: one
has fewer tokens and smaller numbers, and a target of one is also the other's.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor, nn

from jepa_core.conformance.checks.state import apply_statistics
from jepa_core.conformance.comparable_draws import ComparableDraws
from jepa_core.conformance.families import named, statistics_in
from jepa_core.conformance.module_state import state_of
from jepa_core.conformance.situations import Situation, Tensors
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.two_ranks import SIZE, Tell, TwoRanks, two_ranks
from jepa_core.conformance.violation import NotApplicable, Violation, require
from jepa_core.contracts import Crew, HasState, Statistics

SHARED_BATCH = Situation(batch=11 * SIZE)
"""Eleven sequences a rank, which no usual width is a multiple of: see `ComparableDraws`."""

_NUM_STEPS = 2
_OTHERS_SEED = 500
"""Added for each rank but the first: in training, ranks draw from generators that differ."""

_RELATIVE, _OF_LARGEST, _ABSOLUTE = 2e-5, 1e-5, 1e-7

_REMEDIES = {
    "loss": "What is computed over the batch has to see every rank's rows: forward.crew.gathered(z) has them all, with "
    "their gradient; crew.mean(x) is the mean of what ranks find; crew.share(sum, count) a mean over what they have "
    "unequal numbers of (tokens, pairs); crew.shared(draw_key(device)) one number for all to draw by",
    "quantizer": "A loss that is a mean over tokens says over how many, in Quantized.count. What is computed over the "
    "batch asks facts.crew for every rank's: gathered(x), mean(x), share(sum, count), shared(draw_key(device))",
}
_REMEDY_OF_STATE = (
    "after_step gets the statistics of all ranks merged, under one seed: all that it goes by has to come from these "
    "(sums of sums and counts, rows in the order of ranks), nothing from this rank's batch, and what forward draws for "
    "all from crew.shared(draw_key(device))"
)


def as_one_process(trial: Trial) -> None:
    """Values, figures and gradients on two ranks average to those of one process; state is the same on both."""
    if trial.situation.batch % SIZE:
        raise NotApplicable(f"{SIZE} ranks cannot share {trial.situation.batch} sequences")
    alone: list[Tensors] = []

    def note(tensors: Tensors) -> Tensors:
        alone.append(tensors)
        return tensors

    _take_steps(trial, note)
    with two_ranks(lambda crew, tell: _take_steps(attrs.evolve(trial, crew=crew), tell)) as ranks:
        for expected in alone:
            _compare(ranks, expected, _REMEDIES[trial.subject.component.family])


def _compare(ranks: TwoRanks, expected: Tensors, remedy: str) -> None:
    """Hear what both ranks have to say, hold it against one process's, and tell them what their statistics come to."""
    reports = ranks.heard()
    for rank, report in enumerate(reports):
        differing = ", ".join(name.partition(" ")[2] or name for name in sorted(report.keys() ^ expected.keys()))
        require(not differing, f"of rank {rank} of {SIZE} and one process only one gives {differing}")
    _require_equal_states(reports, expected)
    wrong = {}
    for name, reference in expected.items():
        how, _, what = name.partition(" ")
        if how in {"mean", "row"} and (found := _off(_over_ranks(how, name, reports), reference)):
            wrong[what] = found
    if wrong:
        (what, found), *further = wrong.items()
        and_too = f" (and {', '.join(name for name, _ in further)}, too)" if further else ""
        raise Violation(f"{what} {found}{and_too}. {remedy}")
    ranks.tell(named(_merged([statistics_in(report) for report in reports])))


def _take_steps(trial: Trial, tell: Tell) -> None:
    """Some steps, as one process or as a rank: tells what each gives, then the state that it leads to."""
    module = trial.build()
    for step in range(_NUM_STEPS):
        statistics = statistics_in(tell(_step(trial, module, step)))
        if isinstance(module, HasState):
            apply_statistics(module, statistics)
            tell({f"state {name}": tensor for name, tensor in state_of(module).items()})


def _step(trial: Trial, module: nn.Module, step: int) -> Tensors:
    """What this rank's part of a batch gives: "mean …" is to be averaged over ranks, of "row …" each has its part."""
    crew, by_row = trial.crew, trial.family.by_row
    inputs = _part_of(_uneven(trial, trial.inputs(module, step=step)), crew)
    rows = len(next(iter(inputs.values())))
    seeded = attrs.evolve(trial, seed=trial.seed + _OTHERS_SEED * crew.rank)
    module.zero_grad()
    with ComparableDraws(trial.seed + 1000 * step, rows, crew):
        outputs = seeded.call(module, inputs, step=step)
        objective = [tensor.float() for name, tensor in outputs.items() if tensor.requires_grad and not tensor.dim()]
        objective += [(outputs[name].float() * _weights(outputs[name], crew)).sum() / rows for name in by_row]
        if any(part.requires_grad for part in objective):
            torch.stack(objective).sum().backward()
    found = {f"mean {name}": tensor.detach().float() for name, tensor in outputs.items() if _is_figure(name, tensor)}
    found |= {f"mean gradient of {name}": _gradient(tensor) for name, tensor in module.named_parameters()}
    found |= {f"row {name}": outputs[name].detach() for name in (*by_row, "codes") if name in outputs}
    # Averaged over ranks, a gradient is that of the mean.
    leaves = {name: tensor for name, tensor in inputs.items() if tensor.requires_grad}
    found |= {f"row gradient of input {name}": _gradient(tensor) / crew.size for name, tensor in leaves.items()}
    return found | named(statistics_in(outputs))


def _uneven(trial: Trial, inputs: Tensors) -> Tensors:
    """The batch with fewer tokens and smaller numbers in its first half, and with a target that is in both."""
    inputs = {name: tensor.detach().clone().requires_grad_(tensor.requires_grad) for name, tensor in inputs.items()}
    half = trial.situation.batch // SIZE
    without = slice(half // 2)
    with torch.no_grad():
        for tensor in inputs.values():
            if tensor.is_floating_point():
                tensor[:half] /= 2
        for values, mask in trial.family.masks.items():
            inputs[mask][without] = False
            inputs[values][without] = 0
            neighbours = f"{mask.rpartition('.')[0]}.neighbours"
            if neighbours in inputs:
                inputs[neighbours][without] = False
        for name in ("z_target", "target"):
            if name in inputs:
                inputs[name][half] = inputs[name][0]
    return inputs


def _part_of(inputs: Tensors, crew: Crew) -> Tensors:
    return {
        name: tensor.detach()[crew.mine(len(tensor))].clone().requires_grad_(tensor.requires_grad)
        for name, tensor in inputs.items()
    }


def _weights(output: Tensor, crew: Crew) -> Tensor:
    """A gradient for what becomes of each row, of which a rank has its part."""
    num_rows = len(output) * crew.size
    generator = torch.Generator().manual_seed(0)
    return torch.randn((num_rows, *output.shape[1:]), generator=generator)[crew.mine(num_rows)]


def _is_figure(name: str, tensor: Tensor) -> bool:
    return not tensor.dim() and not name.startswith(("sums.", "rows."))


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _over_ranks(how: str, name: str, reports: list[Tensors]) -> Tensor:
    parts = [report[name] for report in reports]
    shapes = [tuple(part.shape) for part in parts]
    require(len(set(shapes)) == 1, f"{name.partition(' ')[2]} has the shapes {shapes} on two ranks")
    return torch.stack(parts).mean(0) if how == "mean" else torch.cat(parts)


def _off(found: Tensor, reference: Tensor) -> str:
    """How ranks differ from one process, in words; "" when they do not."""
    if found.shape != reference.shape:
        return f"has the shape {tuple(found.shape)} on two ranks together, and {tuple(reference.shape)} in one process"
    found, reference = found.double(), reference.double()
    largest = reference.abs().max() if reference.numel() else 0.0
    allowed = _RELATIVE * reference.abs() + _OF_LARGEST * largest + _ABSOLUTE
    if bool(((found - reference).abs() <= allowed).all()):
        return ""
    if not found.dim():
        return f"is {found:.6g} on two ranks, on average, and {reference:.6g} in one process, of the same batch"
    if not largest:
        return "on two ranks is not zero, as it is in one process"
    return f"on two ranks is {float((found - reference).norm() / reference.norm()):.0%} of its length off one process's"


def _require_equal_states(reports: list[Tensors], expected: Tensors) -> None:
    for name in (name for name in expected if name.startswith("state ")):
        first, *others = (report[name] for report in reports)
        what = f"after a step the state's {name.partition(' ')[2]}"
        are_equal = not any(_off(other, first) for other in others)
        require(are_equal, f"{what} is not the same on both ranks. {_REMEDY_OF_STATE}")
        apart = _off(first, expected[name])
        require(not apart, f"{what} {apart}. {_REMEDY_OF_STATE}")


def _merged(parts: list[Statistics]) -> Statistics:
    for name, rows in parts[0].rows.items():
        counts = [len(part.rows[name]) for part in parts]
        told = f"rows of the statistics' {name}: {counts[0]} on one rank, and {counts[1]} on the other"
        require(len(rows) == counts[1], f"{told}. Every rank has to hand over as many, whatever its data")
    return Statistics.merge(parts)
