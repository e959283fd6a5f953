"""How the components of each family are built and called, in one shape for all: tensors by name in, by name out.

Datasets are no modules: theirs are checks of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs
import torch
from torch import Tensor, nn

from jepa_core.conformance import situations
from jepa_core.conformance.situations import EMBEDDING_DIM, PROJECTION_DIM, Situation, Tensors
from jepa_core.conformance.violation import require
from jepa_core.contracts import (
    ALONE,
    AsksForEncoderViews,
    Crew,
    DeclaresTargetViews,
    DeclaresViews,
    Embeddings,
    Forward,
    LossTerm,
    Observations,
    Quantized,
    Statistics,
    TargetView,
    View,
)
from jepa_core.facts import AggregatorFacts, EncoderFacts, LossFacts, PredictorFacts, QuantizerFacts
from jepa_core.spaces import Space

AnyView = TypeVar("AnyView", bound=TargetView)

Callee = Callable[..., Any]
"""A component's module, or what `torch.compile` made of it."""


@attrs.frozen(kw_only=True)
class Family:
    """What the checks have to know about a family of modules."""

    facts: Callable[[Situation, Space | None, Crew], Any]
    """Of a situation, of a space, which is there for families that look at observations, and of who shares a batch."""
    inputs: Callable[[Situation, nn.Module, Space | None], Tensors]
    call: Callable[[Callee, Tensors, Crew], Tensors]
    masks: Mapping[str, str] = attrs.field(factory=dict)
    """Input → the input that masks it."""
    without_gradient: frozenset[str] = frozenset()
    """Floating-point inputs that the engine computes without gradient."""
    by_row: tuple[str, ...] = ()
    """Outputs whose rows depend on the same rows of the inputs alone, in evaluation mode."""
    by_object: tuple[str, ...] = ()
    """Outputs that hold something for each token of an observation, in the order of the inputs."""
    of_input_dtype: tuple[str, ...] = ()
    """Outputs that keep the dtype of the inputs under autocast."""
    float32: tuple[str, ...] = ()
    """Starts of the names of outputs that are float32 under autocast."""
    object_dims: Mapping[str, tuple[int, ...]] = attrs.field(factory=dict)
    """Input → its dimensions of objects, the order of which says nothing."""
    of_observations: bool = False
    """Whether the inputs are observations: the engine neither converts nor differentiates them."""
    is_continuous: bool = True
    """Whether a small change of the inputs makes a small change of the outputs."""


def _encoder_inputs(situation: Situation, _encoder: nn.Module, space: Space | None) -> Tensors:
    assert space is not None
    return situations.drawn_observations(situation, space, situation.batch)


def _encoder_outputs(encoder: Callee, inputs: Tensors, _crew: Crew) -> Tensors:
    tokens = encoder(Observations(inputs))
    _require_type(tokens, Embeddings)
    return {"values": tokens.values, "mask": tokens.mask}


def _quantizer_outputs(quantizer: Callee, inputs: Tensors, crew: Crew) -> Tensors:
    quantized = quantizer(inputs["values"], inputs["mask"], collect=True)
    _require_type(quantized, Quantized)
    codes = {} if quantized.codes is None else {"codes": quantized.codes}
    figures = _figures(quantized.figures)
    loss = _over_ranks(quantized, crew)
    return {"values": quantized.values, "loss": loss, **codes, **figures, **named(quantized.statistics)}


def _over_ranks(quantized: Quantized, crew: Crew) -> Tensor:
    """Its own term, as the engine adds it to the objective."""
    if crew.size == 1 or quantized.count is None:
        return quantized.loss
    return crew.share(quantized.loss * quantized.count, quantized.count)


def _aggregator_outputs(aggregator: Callee, inputs: Tensors, _crew: Crew) -> Tensors:
    state = aggregator(inputs["values"], inputs["mask"])
    _require_type(state, Tensor)
    return {"state": state}


def _predictor_outputs(predictor: Callee, inputs: Tensors, _crew: Crew) -> Tensors:
    predicted = predictor(inputs["state"])
    _require_type(predicted, Tensor)
    return {"predicted": predicted}


def _loss_inputs(situation: Situation, loss: nn.Module, _space: Space | None) -> Tensors:
    of_observations = tuple(loss.views()) if isinstance(loss, DeclaresViews) else ()
    of_encoder = tuple(loss.encoder_views()) if isinstance(loss, AsksForEncoderViews) else ()
    of_targets = tuple(loss.target_views()) if isinstance(loss, DeclaresTargetViews) else ()
    return situations.drawn_forward(situation, (*of_observations, *of_encoder), of_targets)


def _loss_outputs(loss: Callee, inputs: Tensors, crew: Crew) -> Tensors:
    term = loss(as_forward(inputs, crew))
    _require_type(term, LossTerm)
    figures = _figures(term.figures)
    return {"value": term.value, **figures, **named(term.statistics or Statistics())}


def as_forward(tensors: Tensors, crew: Crew = ALONE) -> Forward:
    """The `Forward` whose tensors go by their path in it."""
    mask = tensors["context_embeddings.mask"]
    return Forward(
        z_context=tensors["z_context"],
        z_target=tensors["z_target"],
        predicted=tensors["predicted"],
        state=tensors["state"],
        target=tensors["target"],
        context_embeddings=Embeddings(
            tensors["context_embeddings.values"], mask, tensors["context_embeddings.neighbours"]
        ),
        context_quantized=Quantized(
            values=tensors["context_quantized.values"], codes=None, loss=torch.zeros(()), statistics=Statistics()
        ),
        target_tokens=Embeddings(
            tensors["target_tokens.values"], tensors["target_tokens.mask"], tensors["target_tokens.neighbours"]
        ),
        z_observed=tensors["z_observed"],
        is_target=tensors["is_target"],
        views=_views_in(tensors, "views", View, situations.PARTS_OF_VIEW),
        target_views=_views_in(tensors, "target_views", TargetView, situations.PARTS_OF_TARGET_VIEW),
        crew=crew,
    )


def _views_in(tensors: Tensors, group: str, kind: type[AnyView], parts: Iterable[str]) -> dict[str, AnyView]:
    """Views by name, from tensors named `group.NAME.PART`."""
    names = dict.fromkeys(path.split(".")[1] for path in tensors if path.startswith(f"{group}."))
    return {name: kind(**{part: tensors[f"{group}.{name}.{part}"] for part in parts}) for name in names}


def statistics_in(outputs: Tensors) -> Statistics:
    """The statistics among a component's outputs."""
    return Statistics(sums=_below("sums.", outputs), rows=_below("rows.", outputs))


def _require_type(result: object, expected: type) -> None:
    require(isinstance(result, expected), f"forward returns {type(result).__name__}, not {expected.__name__}")


def _figures(figures: Any) -> Tensors:
    """Figures among a component's outputs."""
    require(isinstance(figures, Mapping), f"figures are a {type(figures).__name__}, not tensors by name")
    for name, figure in figures.items():
        require(isinstance(name, str), f"figures hold the name {name!r}, which is no text")
        require(isinstance(figure, Tensor), f"the figure {name} is a {type(figure).__name__}, not a Tensor")
    return {f"figure.{name}": figure for name, figure in figures.items()}


def named(statistics: Statistics) -> Tensors:
    """Statistics among a component's outputs."""
    sums = {f"sums.{name}": tensor for name, tensor in statistics.sums.items()}
    return sums | {f"rows.{name}": tensor for name, tensor in statistics.rows.items()}


def _below(prefix: str, outputs: Tensors) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in outputs.items() if name.startswith(prefix)}


MODULE_FAMILIES: dict[str, Family] = {
    "encoder": Family(
        facts=lambda _s, space, _crew: EncoderFacts(space=space),
        inputs=_encoder_inputs,
        call=_encoder_outputs,
        by_row=("values", "mask"),
        of_observations=True,
    ),
    "quantizer": Family(
        facts=lambda _s, _space, crew: QuantizerFacts(embedding_dim=EMBEDDING_DIM, crew=crew),
        inputs=lambda s, _quantizer, _space: situations.drawn_context(s),
        call=_quantizer_outputs,
        masks={"values": "mask"},
        by_row=("values",),
        by_object=("values", "codes"),
        of_input_dtype=("values",),
        float32=("loss", "sums.", "rows."),
        object_dims={"values": (2,), "mask": (2,)},
        is_continuous=False,
    ),
    "aggregator": Family(
        facts=lambda s, _space, _crew: AggregatorFacts(
            embedding_dim=EMBEDDING_DIM, context_length=s.context_length, num_tokens=s.num_tokens
        ),
        inputs=lambda s, _aggregator, _space: situations.drawn_context(s),
        call=_aggregator_outputs,
        masks={"values": "mask"},
        by_row=("state",),
        object_dims={"values": (2,), "mask": (2,)},
    ),
    "predictor": Family(
        facts=lambda s, _space, _crew: PredictorFacts(embedding_dim=EMBEDDING_DIM, context_length=s.context_length),
        inputs=lambda s, _predictor, _space: situations.drawn_state(s),
        call=_predictor_outputs,
        by_row=("predicted",),
    ),
    "loss": Family(
        facts=lambda s, _space, _crew: LossFacts(
            embedding_dim=EMBEDDING_DIM,
            projection_dim=PROJECTION_DIM,
            context_length=s.context_length,
            num_tokens=s.num_tokens,
            batch_size=s.batch,
            augmentations={"unchanged": lambda batch: batch},
        ),
        inputs=_loss_inputs,
        call=_loss_outputs,
        masks={
            "context_embeddings.values": "context_embeddings.mask",
            "context_quantized.values": "context_embeddings.mask",
            "target_tokens.values": "target_tokens.mask",
        },
        float32=("value",),
        object_dims={
            "context_embeddings.values": (2,),
            "context_quantized.values": (2,),
            "context_embeddings.mask": (2,),
            "context_embeddings.neighbours": (2, 3),
            "target_tokens.values": (1,),
            "target_tokens.mask": (1,),
            "target_tokens.neighbours": (1, 2),
        },
        without_gradient=frozenset({"z_target", "target", "target_tokens.values"}),
    ),
}
