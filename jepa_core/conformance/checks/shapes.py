"""What a family's components give: shapes and dtypes, whatever the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jepa_core.conformance.situations import EMBEDDING_DIM, USUAL, Tensors
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import require


def built(trial: Trial) -> None:
    """A module, with the numbers that its family announces."""
    module = trial.build()
    require(isinstance(module, nn.Module), f"build returns {type(module).__name__}, not a torch.nn.Module")
    announced = {"encoder": ("embedding_dim", "num_tokens"), "quantizer": ("num_codes",)}
    for name in announced.get(trial.subject.component.family, ()):
        value = getattr(module, name, None)
        require(type(value) is int, f"the module's {name} is {value!r}, not a whole number")


def shaped(trial: Trial) -> None:
    """Outputs have the shapes and dtypes of the contract."""
    module = trial.build()
    inputs = trial.inputs(module)
    outputs = trial.call(module, inputs)
    match trial.subject.component.family:
        case "encoder":
            _encoder(trial, module, outputs)
        case "quantizer":
            _quantizer(module, inputs, outputs)
        case "aggregator":
            _floats("state", outputs["state"], (trial.situation.batch, EMBEDDING_DIM))
        case "predictor":
            _floats("predicted", outputs["predicted"], (trial.situation.batch, EMBEDDING_DIM))
        case "loss":
            _floats("value", outputs["value"], ())


def _encoder(trial: Trial, encoder: nn.Module, outputs: Tensors) -> None:
    num_observations, num_tokens, embedding_dim = trial.situation.batch, encoder.num_tokens, encoder.embedding_dim
    assert isinstance(num_tokens, int)
    assert isinstance(embedding_dim, int)
    values, mask = outputs["values"], outputs["mask"]
    _floats("values", values, (num_observations, num_tokens, embedding_dim))
    _typed("mask", mask, torch.bool, (num_observations, num_tokens))
    _zero_where_masked(values, mask)
    if trial.situation == USUAL:
        without = int((~mask.any(-1)).sum())
        require(not without, f"{without} of {num_observations} observations with content have no token")


def _quantizer(quantizer: nn.Module, inputs: Tensors, outputs: Tensors) -> None:
    mask, num_codes = inputs["mask"], quantizer.num_codes
    assert isinstance(num_codes, int)
    _floats("values", outputs["values"], tuple(inputs["values"].shape))
    _zero_where_masked(outputs["values"], mask)
    _floats("loss", outputs["loss"], ())
    codes = outputs.get("codes")
    require((codes is None) == (num_codes == 0), f"num_codes is {num_codes}, and codes are {_presence(codes)}")
    if codes is not None:
        leading = tuple(codes.shape[: mask.dim()])
        require(codes.dtype == torch.int64, f"codes are {codes.dtype}, not torch.int64")
        require(leading == tuple(mask.shape), f"codes are {tuple(codes.shape)}, which does not start as the mask")
        require(bool((codes[~mask] == -1).all()), "codes are not −1 where masked")
        real = codes[mask]
        outside = real[(real < 0) | (real >= num_codes)]
        require(not outside.numel(), f"code {outside[:1].tolist()} is not within 0 … {num_codes - 1}")


def without_time(trial: Trial) -> None:
    """Target tokens without time are quantized as the same tokens with it."""
    quantizer = trial.build()
    inputs = trial.inputs(quantizer)
    whole = trial.call(quantizer, inputs)["values"][:, 0]
    part = trial.call(quantizer, {name: tensor[:, 0] for name, tensor in inputs.items()})["values"]
    require(part.shape == whole.shape, f"values of one observation are {tuple(part.shape)}, not {tuple(whole.shape)}")
    error = float((part - whole).detach().abs().max())
    require(error <= 1e-5, f"an observation of the context and the same alone differ by {error:.3g}")


def _floats(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    _typed(name, tensor, torch.float32, shape)


def _typed(name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    require(tensor.dtype == dtype, f"{name} is {tensor.dtype}, not {dtype}")
    require(tuple(tensor.shape) == shape, f"{name} has the shape {tuple(tensor.shape)}, not {shape}")


def _zero_where_masked(values: Tensor, mask: Tensor) -> None:
    largest = float(values.detach().abs().masked_fill(mask[..., None], 0).max())
    require(largest == 0, f"values hold {largest:.3g} where masked, not zeros")


def _presence(codes: Tensor | None) -> str:
    return "missing" if codes is None else "given"
