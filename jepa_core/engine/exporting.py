"""The trained encoder of a run's checkpoint as a file that is used without this package.

The file takes its place only after it was read back and gave the encoder's own tokens. Shows nothing. Shapes: M
observations, S sequences of T + 1 observations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
import orjson
import torch
from torch import Tensor

from jepa_core import __version__
from jepa_core.contracts import Observations
from jepa_core.engine.exchange_formats import BATCH, FORMATS, ExportError, Format, NamedEncoder
from jepa_core.engine.opened_run import OpenedRun, faults_told
from jepa_core.engine.output_files import appearing_whole, check_output
from jepa_core.spaces import space_state

Part = Literal["online", "target"]
"""The network that is trained by gradient, or its moving average."""

TOLERANCE = 1e-4
"""Largest difference that a number in a real token may have."""

NUM_COMPARED = 100
"""Observations of the validation split that are compared, where it has as many."""

BATCH_SIZES = (1, 7, NUM_COMPARED)
"""Batches that are compared; a file takes any."""


@attrs.frozen(kw_only=True)
class TensorForm:
    """A tensor that a file takes or gives."""

    name: str
    dtype: str
    """Such as "float32"."""
    shape: tuple[int | str, ...]
    """Its first dimension is "batch"."""


@attrs.frozen(kw_only=True)
class Contents:
    """What a file says of itself."""

    run: str
    """Name of the run directory."""
    recipe: str
    """Name of the recipe."""
    step: int
    epoch: float
    part: Part
    encoder: str
    """Name of the component."""
    space: Mapping[str, Any]
    """`kind`, and the numbers that the space is made of."""
    inputs: tuple[TensorForm, ...]
    outputs: tuple[TensorForm, ...]
    """Tokens, and which of them are real."""
    jepa_core: str
    """Version of this package."""
    torch: str
    """Version of torch."""


@attrs.frozen(kw_only=True)
class Parity:
    """How near a file comes to the encoder that it was made of."""

    num_observations: int
    """Different ones; a batch that needs more has some of them again."""
    batch_sizes: tuple[int, ...]
    largest_difference: float
    """Of a number in a real token."""
    masks_equal: bool


@attrs.frozen(kw_only=True)
class Exported:
    """A file that was written."""

    path: Path
    num_bytes: int
    why: str
    """Why this checkpoint; empty when it was asked for by its step."""
    contents: Contents
    parity: Parity | None
    """None where the package that runs such files is not installed."""
    runs_with: str
    """That package."""
    notes: tuple[str, ...]
    """What is wrong with checkpoints that came before."""


def check_export(output: Path, *, force: bool) -> None:
    """Refuse early what cannot be written at the end.

    Raises:
        ExportError: a package is missing, or cannot be imported.
        DataError: nothing can be written there.
    """
    check_output(output, FORMATS, "encoders", replace=force)
    FORMATS[output.suffix].check_packages()


@faults_told
def export_encoder(opened: OpenedRun, output: Path, *, part: Part = "online", force: bool = False) -> Exported:
    """Write an opened run's encoder in the format of the output's suffix. The run is open on the CPU.

    What was written is compared with the encoder on observations of the validation split of the opened run's data.
    With `force` a file that is there is replaced.

    Raises:
        ExportError: the encoder does not fit the format, a package is missing, or what was written gives other tokens.
        JepaError: the output or the data is at fault.
    """
    check_export(output, force=force)
    form = FORMATS[output.suffix]
    model, chosen, recipe = opened.model, opened.chosen, opened.trained
    observations = _some_of(opened.dataset().validation.observations)
    network = model.objective.online if part == "online" else model.objective.target
    encoder = NamedEncoder(network.encoder, list(observations.tensors))
    contents = Contents(
        run=opened.reader.name,
        recipe=recipe.name,
        step=chosen.checkpoint.step,
        epoch=model.epoch,
        part=part,
        encoder=recipe.encoder.kind,
        space=space_state(model.shape.space),
        inputs=_forms(observations.tensors),
        outputs=_forms(dict(zip(encoder.gives, encoder.encoded(observations[:1]), strict=True))),
        jepa_core=__version__,
        torch=torch.__version__,
    )
    parity = write_compared(encoder, observations, output, orjson.dumps(attrs.asdict(contents)).decode())
    return Exported(
        path=output,
        num_bytes=output.stat().st_size,
        why=chosen.why,
        contents=contents,
        parity=parity,
        runs_with=form.runs_with,
        notes=chosen.notes,
    )


def write_compared(encoder: NamedEncoder, observations: Observations, output: Path, about: str) -> Parity | None:
    """Write an encoder in the format of the output's suffix, once what was written gives its tokens.

    Args:
        encoder: what is written.
        observations: (M, …), what it is compared on; one is enough.
        output: the file, which appears whole or not at all.
        about: a text for the file, see `CONTENTS`.

    Returns:
        How near it comes; None where the package that runs such files is not installed.

    Raises:
        ExportError: the encoder does not fit the format, or what was written gives other tokens.
    """
    form = FORMATS[output.suffix]
    compared = observations[torch.arange(NUM_COMPARED) % len(observations)]
    with appearing_whole(output) as draft:
        form.write(encoder, compared, draft, about=about)
        if not form.can_be_run():
            return None
        parity = _parity(form, draft, encoder, compared, len(observations))
        if fault := _fault_of(parity):
            raise ExportError(f"{output} was not written: {fault}")
    return parity


def _parity(form: Format, draft: Path, encoder: NamedEncoder, compared: Observations, num_observations: int) -> Parity:
    """A file beside its encoder, on the same observations in batches of each size."""
    batches = [compared[:size] for size in BATCH_SIZES]
    differences, masks_equal = [torch.zeros(1)], True
    for batch, (tokens, mask) in zip(batches, form.run(draft, batches), strict=True):
        expected, expected_mask = encoder.encoded(batch)
        masks_equal &= torch.equal(mask, expected_mask)
        differences.append((tokens - expected)[expected_mask].abs().flatten())
    return Parity(
        num_observations=num_observations,
        batch_sizes=BATCH_SIZES,
        largest_difference=float(torch.cat(differences).max()),
        masks_equal=masks_equal,
    )


def _fault_of(parity: Parity) -> str:
    """Why what was written is not the encoder, and what to do; empty when it is."""
    if math.isnan(parity.largest_difference):
        return "its tokens, or the encoder's, are not finite. Take another checkpoint, with --step."
    cause = "An encoder that draws at random, or keeps what it has seen, cannot be exported."
    if not parity.masks_equal:
        return f"it takes other tokens for real than the encoder does.\n{cause}"
    if parity.largest_difference > TOLERANCE:
        difference = f"{parity.largest_difference:.2g}, and {TOLERANCE} is allowed"
        return f"its tokens differ from the encoder's by up to {difference}.\n{cause}"
    return ""


def _some_of(observations: Observations) -> Observations:
    """Observations (S, T+1, …) to at most 100 of them (M, …), those of sequences spread over the whole."""
    num_sequences, num_places = next(iter(observations.tensors.values())).shape[:2]
    num_taken = min(num_sequences, math.ceil(NUM_COMPARED / num_places))
    taken = torch.arange(num_taken) * num_sequences // num_taken
    return observations[taken].flatten()[:NUM_COMPARED]


def _forms(tensors: Mapping[str, Tensor]) -> tuple[TensorForm, ...]:
    return tuple(
        TensorForm(name=name, dtype=str(tensor.dtype).removeprefix("torch."), shape=(BATCH, *tensor.shape[1:]))
        for name, tensor in tensors.items()
    )
