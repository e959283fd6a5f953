"""What may have an influence on what: masked slots, the rest of the batch, the order of objects."""

from __future__ import annotations

import torch

from jepa_core.conformance.comparison import require_close, require_equal
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable

_GARBAGE = 100.0


def masked_slots(trial: Trial) -> None:
    """What stands in masked slots has no influence."""
    masks = trial.family.masks
    if not masks:
        raise NotApplicable(f"{trial.subject.component.family}s take nothing that is masked")
    module = trial.build()
    inputs = trial.inputs(module)
    soiled = {
        name: torch.where(inputs[masks[name]][..., None], tensor, _GARBAGE) if name in masks else tensor
        for name, tensor in inputs.items()
    }
    why = f"with {_GARBAGE:g} instead of zeros in masked slots"
    require_equal(trial.call(module, soiled), trial.call(module, inputs), why)


def rows_apart(trial: Trial) -> None:
    """A row of a batch is treated as on its own, in evaluation mode."""
    if not trial.family.by_row:
        raise NotApplicable("a loss compares the rows of a batch")
    module = trial.build().eval()
    inputs = trial.inputs(module)
    whole = trial.call(module, inputs)
    alone = trial.call(module, {name: tensor[1:2] for name, tensor in inputs.items()})
    for name in trial.family.by_row:
        require_close({name: alone[name]}, {name: whole[name][1:2]}, "row 1 of the batch, given on its own")


def object_order(trial: Trial) -> None:
    """Objects of an observation have no order: what is said of all stays, what is said of an object moves with it."""
    dims = trial.family.object_dims
    if not dims:
        raise NotApplicable(f"{trial.subject.component.family}s take no objects")
    module = trial.build().eval()
    inputs = trial.inputs(module)
    order = torch.arange(trial.situation.num_tokens).flip(0)
    permuted = dict(inputs)
    for name, of_objects in dims.items():
        for dim in of_objects:
            permuted[name] = permuted[name].index_select(dim, order)
    by_object = trial.family.by_object
    expected = {
        name: output.index_select(dims["values"][0], order) if name in by_object else output
        for name, output in trial.call(module, inputs).items()
        if not name.startswith("rows.")
    }
    actual = {name: output for name, output in trial.call(module, permuted).items() if name in expected}
    require_close(actual, expected, "with the objects of every observation in reversed order", rtol=1e-4)
