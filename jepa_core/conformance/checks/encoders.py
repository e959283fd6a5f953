"""What holds for encoders alone: reading, embedding, and views of their own."""

from __future__ import annotations

import torch

from jepa_core.conformance.comparison import require_equal
from jepa_core.conformance.host_sync import no_host_sync
from jepa_core.conformance.situations import Tensors
from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import NotApplicable, require
from jepa_core.contracts import OffersViews, ReadingTransform
from jepa_core.engine.seeds import seed_generators


def offers_views(trial: Trial) -> None:
    """`forward` is `embed(read(…))`; a view keeps the form of what was read, is seeded and writes nothing."""
    encoder = trial.build().eval()
    if not isinstance(encoder, OffersViews):
        raise NotApplicable("it offers no views of its own (no `read`, `embed` and `reading_views`)")
    num_places = trial.situation.context_length + 1
    seed_generators(1)
    drawn = trial.observations(trial.situation.batch * num_places)
    reading = dict(encoder.read(drawn))
    embedded, whole = encoder.embed(reading), trial.call(encoder, dict(drawn.tensors))
    require_equal({"values": embedded.values, "mask": embedded.mask}, whole, "embed(read(observations))")
    by_sequence = {name: tensor.unflatten(0, (-1, num_places)) for name, tensor in reading.items()}
    for name, view in encoder.reading_views().items():
        given = {key: tensor.clone() for key, tensor in by_sequence.items()}
        changed = _drawn(view, given)
        require_equal(given, by_sequence, f"the view {name} writes to what was read")
        require_equal(_drawn(view, given), changed, f"the view {name} drawn again under one seed")
        form, was = _form(changed), _form(by_sequence)
        require(form == was, f"the view {name} gives {form}, where {was} was read")


def _drawn(view: ReadingTransform, reading: Tensors) -> Tensors:
    seed_generators(6)
    with no_host_sync():
        return dict(view(reading))


def _form(reading: Tensors) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in reading.items()}
