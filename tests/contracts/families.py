"""How the components of each family are built and called, in one shape for all: tensors by name in, by name out.

A family that is not here has no contract tests, which a test of the architecture refuses. Datasets are not modules and
have tests of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from jepa_core.contracts import DeclaresViews, Embeddings, Forward, LossTerm, Quantized, Statistics, View
from jepa_core.facts import AggregatorFacts, EncoderFacts, LossFacts, PredictorFacts, QuantizerFacts
from tests.contracts import situations
from tests.contracts.situations import EMBEDDING_DIM, PROJECTION_DIM, Situation, Tensors

Callee = Callable[..., Any]
"""A component's module, or what `torch.compile` made of it."""


@attrs.frozen(kw_only=True)
class Family:
    """What the contract tests have to know about a family of modules."""

    facts: Callable[[Situation], Any]
    inputs: Callable[[Situation, nn.Module], Tensors]
    call: Callable[[Callee, Tensors], Tensors]
    masks: Mapping[str, str] = attrs.field(factory=dict)
    """Input → the input that masks it."""
    without_gradient: frozenset[str] = frozenset()
    """Floating-point inputs that the engine computes without gradient."""
    by_row: tuple[str, ...] = ()
    """Outputs whose rows depend on the same rows of the inputs alone, in evaluation mode."""
    is_continuous: bool = True
    """Whether a small change of the inputs makes a small change of the outputs."""


def _encoder_outputs(encoder: Callee, inputs: Tensors) -> Tensors:
    tokens = encoder(inputs["grids"], inputs["sizes"])
    assert isinstance(tokens, Embeddings)
    return {"values": tokens.values, "mask": tokens.mask}


def _quantizer_outputs(quantizer: Callee, inputs: Tensors) -> Tensors:
    quantized = quantizer(inputs["values"], inputs["mask"], collect=True)
    assert isinstance(quantized, Quantized)
    codes = {} if quantized.codes is None else {"codes": quantized.codes}
    return {"values": quantized.values, "loss": quantized.loss, **codes, **_named(quantized.statistics)}


def _aggregator_outputs(aggregator: Callee, inputs: Tensors) -> Tensors:
    return {"state": aggregator(inputs["values"], inputs["mask"])}


def _predictor_outputs(predictor: Callee, inputs: Tensors) -> Tensors:
    return {"predicted": predictor(inputs["state"])}


def _loss_inputs(situation: Situation, loss: nn.Module) -> Tensors:
    return situations.drawn_forward(situation, loss.views() if isinstance(loss, DeclaresViews) else ())


def _loss_outputs(loss: Callee, inputs: Tensors) -> Tensors:
    term = loss(as_forward(inputs))
    assert isinstance(term, LossTerm)
    figures = {f"figure.{name}": figure for name, figure in term.figures.items()}
    return {"value": term.value, **figures, **_named(term.statistics or Statistics())}


def as_forward(tensors: Tensors) -> Forward:
    """The `Forward` whose tensors go by their path in it."""
    views = dict.fromkeys(name.split(".")[1] for name in tensors if name.startswith("views."))
    mask = tensors["context_embeddings.mask"]
    return Forward(
        **{name: tensors[name] for name in ("z_context", "z_target", "predicted", "state", "target")},
        context_embeddings=Embeddings(tensors["context_embeddings.values"], mask),
        context_quantized=Quantized(
            values=tensors["context_quantized.values"], codes=None, loss=torch.zeros(()), statistics=Statistics()
        ),
        target_tokens=Embeddings(tensors["target_tokens.values"], tensors["target_tokens.mask"]),
        views={
            view: View(z_context=tensors[f"views.{view}.z_context"], z_target=tensors[f"views.{view}.z_target"])
            for view in views
        },
    )


def statistics_in(outputs: Tensors) -> Statistics:
    """The statistics among a component's outputs."""
    return Statistics(sums=_below("sums.", outputs), rows=_below("rows.", outputs))


def _named(statistics: Statistics) -> Tensors:
    sums = {f"sums.{name}": tensor for name, tensor in statistics.sums.items()}
    return sums | {f"rows.{name}": tensor for name, tensor in statistics.rows.items()}


def _below(prefix: str, outputs: Tensors) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in outputs.items() if name.startswith(prefix)}


MODULE_FAMILIES: dict[str, Family] = {
    "encoder": Family(
        facts=lambda s: EncoderFacts(height=s.side, width=s.side),
        inputs=lambda s, _encoder: situations.drawn_grids(s, s.batch),
        call=_encoder_outputs,
        by_row=("values", "mask"),
    ),
    "quantizer": Family(
        facts=lambda _s: QuantizerFacts(embedding_dim=EMBEDDING_DIM),
        inputs=lambda s, _quantizer: situations.drawn_context(s),
        call=_quantizer_outputs,
        masks={"values": "mask"},
        by_row=("values",),
        is_continuous=False,
    ),
    "aggregator": Family(
        facts=lambda s: AggregatorFacts(
            embedding_dim=EMBEDDING_DIM, context_length=s.context_length, num_tokens=s.num_tokens
        ),
        inputs=lambda s, _aggregator: situations.drawn_context(s),
        call=_aggregator_outputs,
        masks={"values": "mask"},
        by_row=("state",),
    ),
    "predictor": Family(
        facts=lambda s: PredictorFacts(embedding_dim=EMBEDDING_DIM, context_length=s.context_length),
        inputs=lambda s, _predictor: situations.drawn_state(s),
        call=_predictor_outputs,
        by_row=("predicted",),
    ),
    "loss": Family(
        facts=lambda s: LossFacts(
            embedding_dim=EMBEDDING_DIM,
            projection_dim=PROJECTION_DIM,
            context_length=s.context_length,
            num_tokens=s.num_tokens,
            batch_size=s.batch,
        ),
        inputs=_loss_inputs,
        call=_loss_outputs,
        masks={
            "context_embeddings.values": "context_embeddings.mask",
            "context_quantized.values": "context_embeddings.mask",
            "target_tokens.values": "target_tokens.mask",
        },
        without_gradient=frozenset({"z_target", "target", "target_tokens.values"}),
    ),
}
