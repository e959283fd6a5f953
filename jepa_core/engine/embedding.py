"""What trained weights make of sequences, a chunk at a time: states, predictions, targets, tokens and codes.

Shapes: S sequences, T observations of context, N tokens of an observation, D embedding dimension, G codebooks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, get_args

import attrs
import torch
from torch import Tensor

from jepa_core.contracts import Observations
from jepa_core.engine.device import Compute
from jepa_core.engine.evaluation import evaluation_mode, num_codes
from jepa_core.engine.objective import Objective
from jepa_core.engine.stored_model import StoredModel
from jepa_core.errors import DataError, RecipeError

Name = Literal["state", "prediction", "target", "tokens", "mask", "codes"]

NAMES: tuple[Name, ...] = get_args(Name)

MEANINGS: Mapping[Name, str] = {
    "state": "(S, D): the aggregator's summary of the context",
    "prediction": "(S, D): the target's embedding, predicted from the state",
    "target": "(S, D): the EMA network's embedding of the observation after the context",
    "tokens": "(S, T, N, D): the context's quantized tokens",
    "mask": "(S, T, N) bool: which tokens are real",
    "codes": "(S, T, N) or (S, T, N, G) int64: codebook entries, −1 where masked",
}


@attrs.frozen(kw_only=True)
class Embedder:
    """Embeds sequences with a checkpoint's weights."""

    model: StoredModel
    compute: Compute
    chunk: int
    """Sequences embedded at once."""

    def names(self, wanted: Collection[str], *, has_target: bool) -> tuple[Name, ...]:
        """What is asked for, in order; of an empty collection all that there is.

        Raises:
            RecipeError: a name is unknown, or asks for what model or data do not have.
        """
        lacking = {
            "codes": "" if num_codes(self.model.objective) else "the model has no codebook",
            "target": "" if has_target else f"the data has the {self.model.shape.context_length} of context alone",
        }
        for name in wanted:
            if name not in NAMES:
                raise RecipeError(f"There is no array {name!r} of embeddings. There are {', '.join(NAMES)}.")
            if lacking.get(name):
                raise RecipeError(f"There are no {name} to give: {lacking[name]}.")
        return tuple(name for name in NAMES if (name in wanted if wanted else not lacking.get(name)))

    def fitted(self, observations: Observations) -> Observations:
        """Sequences (S, T or T+1, …) as the model's space has them, on the CPU or where they lie.

        Raises:
            DataError: they are of another space, or have another number of places.
        """
        shape = self.model.shape
        leading = {name: tuple(tensor.shape[:2]) for name, tensor in observations.tensors.items()}
        places = shape.context_length, shape.context_length + 1
        for name, dims in leading.items():
            if len(dims) < 2 or dims[1] not in places:
                raise DataError(
                    f"{name} begins with {dims}: the model takes (sequences, observations, …), of {places[0]} "
                    f"observations of context, or {places[1]} with the one to predict."
                )
        if len(set(leading.values())) > 1:
            raise DataError(f"The tensors do not begin alike: {leading}.")
        try:
            fitted = shape.space.fitted(observations)
            shape.space.check(fitted)
        except (ValueError, KeyError) as error:
            problem = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            raise DataError(
                f"The model takes {shape.space.describe()}, and this is something else: {problem}"
            ) from error
        return fitted

    def embed(self, observations: Observations, names: Collection[Name]) -> Iterator[dict[Name, Tensor]]:
        """Arrays of `names`, a chunk of sequences at a time, on the CPU; of real numbers in float32.

        On CUDA a chunk is copied over while the next is computed.

        Args:
            observations: (S, T or T+1, …), as `fitted` gives them. A target needs T+1.
            names: see `names`.
        """
        pending: _OnTheWay | None = None
        with evaluation_mode(self.model.objective), self.compute.autocast():
            for batch in observations.split(self.chunk):
                begun = _OnTheWay(self._arrays(batch.to(self.compute.device), names))
                if pending is not None:
                    yield pending.arrived()
                pending = begun
        if pending is not None:
            yield pending.arrived()

    def _arrays(self, batch: Observations, names: Collection[Name]) -> dict[Name, Tensor]:
        """Of one chunk (B, …), on the device."""
        arrays: dict[Name, Tensor] = {}
        if set(names) != {"target"}:
            arrays |= _of_context(self.model.objective, batch[:, : self.model.shape.context_length], names)
        if "target" in names:
            arrays["target"] = self.model.objective.encode_target(batch[:, -1])[1]
        return {name: arrays[name].float() if arrays[name].is_floating_point() else arrays[name] for name in names}


class _OnTheWay:
    """Tensors whose copy to the host has begun."""

    def __init__(self, tensors: dict[Name, Tensor]) -> None:
        self._copies = {name: tensor.to("cpu", non_blocking=True) for name, tensor in tensors.items()}
        is_on_gpu = any(tensor.is_cuda for tensor in tensors.values())
        self._copied = torch.cuda.current_stream().record_event() if is_on_gpu else None

    def arrived(self) -> dict[Name, Tensor]:
        """They, once all of it is there."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._copies


def _of_context(objective: Objective, context: Observations, names: Collection[Name]) -> dict[Name, Tensor]:
    """Everything that is read off the context (B, T, …); states and predictions where they are asked for."""
    online, leading = objective.online, next(iter(context.tensors.values())).shape[:2]
    embeddings = online.encode(context.flatten())
    mask = embeddings.mask.unflatten(0, leading)
    quantized = online.quantize(embeddings.values.unflatten(0, leading), mask, collect=False)
    arrays: dict[Name, Tensor] = {"tokens": quantized.values, "mask": mask}
    if quantized.codes is not None:
        arrays["codes"] = quantized.codes
    if not {"state", "prediction"}.isdisjoint(names):
        arrays["state"] = online.state(quantized.values, mask)
        arrays["prediction"] = online.predictor(arrays["state"])
    return arrays
