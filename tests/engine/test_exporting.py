"""An encoder in a file gives its own tokens, without this package; what would not is never written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from jepa_core.conformance.subject import Subject, subjects_of
from jepa_core.contracts import Embeddings, Observations, Space, spaces_of
from jepa_core.discovery.remarks import OWN_DISTRIBUTION
from jepa_core.engine.exchange_formats import CONTENTS, FORMATS, ExportError, NamedEncoder
from jepa_core.engine.exporting import TOLERANCE, write_compared
from jepa_core.errors import DataError
from jepa_core.facts import EncoderFacts
from jepa_core.registry import installed
from jepa_plugins.vectors.space import VectorSpace

FAST = {("cells", ".pt2"), ("vit", ".pt2"), ("vit", ".onnx"), ("series", ".onnx"), ("mlp", ".onnx")}
"""One of each kind of observation at least, in about a second each: written while all tests run."""


def id_of(subject: Subject, space: Space, suffix: str) -> str:
    return f"{subject.component.name}{f'[{subject.variant}]' if subject.variant else ''}-{space.describe()}-{suffix}"


CASES = [
    pytest.param(
        subject,
        space,
        suffix,
        id=id_of(subject, space, suffix),
        marks=()
        if (subject.component.name, suffix) in FAST and not subject.variant and number == 0
        else pytest.mark.slow,
    )
    for component in installed().family("encoder").values()
    if component.distribution == OWN_DISTRIBUTION
    for subject in subjects_of(component)
    for number, space in enumerate(subject.space_class.examples() if subject.space_class else ())
    for suffix in FORMATS
]

WITHOUT_THIS_PACKAGE = """
import sys

sys.modules["jepa_core"] = sys.modules["jepa_plugins"] = None  # an import of either fails

import json
import numpy as np
import torch

program, given, taken = sys.argv[1:]
about = {"jepa.json": ""}
encoder = torch.export.load(program, extra_files=about).module()
assert json.loads(about["jepa.json"]) == {"of": "cells"}
with np.load(given) as file:
    tokens, mask = encoder(**{name: torch.from_numpy(file[name]) for name in file})
np.savez(taken, tokens=tokens.numpy(), mask=mask.numpy())
"""


class OfVectors(nn.Module):
    """A linear map of vectors, and what a test does to it."""

    embedding_dim, num_tokens = 6, 1

    def __init__(self, change: Callable[[Tensor], Tensor], mask: Callable[[Tensor], Tensor] = torch.ones_like) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.change, self.mask = change, mask

    def forward(self, observations: Observations) -> Embeddings:
        values = self.change(self.linear(observations["values"])).unsqueeze(1)
        return Embeddings(values, self.mask(values[..., 0]).bool())


def named(encoder: Any, space: Space) -> NamedEncoder:
    return NamedEncoder(encoder, list(space.sample(1).tensors))


def built(name: str, space: Space) -> NamedEncoder:
    component = installed().get("encoder", name)
    assert component is not None
    torch.manual_seed(0)
    return named(subjects_of(component)[0].config.build(EncoderFacts(space=space)), space)


def grids() -> Any:
    component = installed().get("encoder", "cells")
    assert component is not None
    return spaces_of(component.config_class)[0].examples()[0]


@pytest.mark.parametrize(("subject", "space", "suffix"), CASES)
def test_every_built_in_encoder_gives_its_own_tokens_from_a_file(
    subject: Subject, space: Space, suffix: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    encoder = named(subject.config.build(EncoderFacts(space=space)), space)
    parts = [space.sample(10, fill) for fill in ("some", "none", "all")]
    output = tmp_path / f"encoder{suffix}"
    parity = write_compared(encoder, Observations.cat(parts), output, "{}")
    assert parity is not None
    assert parity.largest_difference <= TOLERANCE
    assert (parity.masks_equal, parity.num_observations, parity.batch_sizes) == (True, 30, (1, 7, 100))
    assert list(tmp_path.iterdir()) == [output]


def test_a_program_runs_where_this_package_cannot_be_imported(tmp_path: Path) -> None:
    space = grids()
    encoder, observations = built("cells", space), space.sample(5)
    program, given, taken = (tmp_path / name for name in ("cells.pt2", "given.npz", "taken.npz"))
    write_compared(encoder, observations[:1], program, '{"of": "cells"}')
    np.savez(given, **{name: tensor.numpy() for name, tensor in observations.tensors.items()})
    code = [sys.executable, "-c", WITHOUT_THIS_PACKAGE, str(program), str(given), str(taken)]
    subprocess.run(code, check=True, timeout=120, cwd=tmp_path)
    tokens, mask = encoder.encoded(observations)
    with np.load(taken) as file:
        np.testing.assert_allclose(file["tokens"], tokens.numpy(), atol=1e-6)
        np.testing.assert_array_equal(file["mask"], mask.numpy())


def test_a_model_runs_in_onnxruntime_by_the_names_of_the_spaces_tensors(tmp_path: Path) -> None:
    space = grids()
    encoder, observations = built("cells", space), space.sample(5)
    write_compared(encoder, observations, tmp_path / "cells.onnx", '{"of": "cells"}')
    session = onnxruntime.InferenceSession(str(tmp_path / "cells.onnx"))
    shapes = {tensor.name: tensor.shape for tensor in (*session.get_inputs(), *session.get_outputs())}
    assert shapes == {"grid": ["batch", 7, 7], "size": ["batch", 2], "tokens": ["batch", 9, 16], "mask": ["batch", 9]}
    assert session.get_modelmeta().custom_metadata_map[CONTENTS] == '{"of": "cells"}'
    given = {name: tensor.numpy() for name, tensor in observations.tensors.items()}
    got = dict(zip(("tokens", "mask"), session.run(["tokens", "mask"], given), strict=True))
    tokens, mask = encoder.encoded(observations)
    np.testing.assert_allclose(got["tokens"], tokens.numpy(), atol=1e-5)
    np.testing.assert_array_equal(got["mask"], mask.numpy())


def test_no_observation_is_in_a_file(tmp_path: Path) -> None:
    space = VectorSpace(dim=6)
    write_compared(built("mlp", space), space.sample(9, "all"), tmp_path / "mlp.pt2", "{}")
    _, example = torch.export.load(tmp_path / "mlp.pt2").example_inputs
    assert not example["values"].any()


def test_a_name_that_the_space_has_taken_is_not_given_twice() -> None:
    encoder = NamedEncoder(OfVectors(torch.sin), ["points", "mask"])
    assert encoder.gives == ("tokens", "token_mask")


def drawn(values: Tensor) -> Tensor:
    return values + torch.rand_like(values)


def sized(values: Tensor) -> Tensor:
    return values + torch.ones(len(values), 1)


def branching(values: Tensor) -> Tensor:
    return values if values.sum() > 0 else -values


REFUSED = [
    (".pt2", sized, "cannot follow the encoder tests.engine.test_exporting.OfVectors: .*\n.*len\\(tensor\\)"),
    (".onnx", branching, "cannot follow the encoder .*data-dependent.*\n.*torch.where"),
    (".onnx", torch.special.bessel_j0, "cannot be written as .onnx: .*bessel_j0.*\nA .pt2 file needs torch alone"),
    (".pt2", drawn, "was not written: its tokens differ .* by up to .*\n.*draws at random"),
    (".onnx", drawn, "was not written: its tokens differ .* by up to .*\n.*draws at random"),
    (".pt2", lambda values: values / 0 * 0, "was not written: its tokens, or the encoder's, are not finite"),
]


@pytest.mark.parametrize(("suffix", "change", "told"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_not_the_encoder_is_refused_in_a_sentence_and_leaves_what_was_there(
    suffix: str,
    change: Callable[[Tensor], Tensor],
    told: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / f"encoder{suffix}"
    output.write_text("before")
    space = VectorSpace(dim=6)
    with pytest.raises(ExportError, match=told):
        write_compared(named(OfVectors(change), space), space.sample(9), output, "{}")
    assert list(tmp_path.iterdir()) == [output]
    assert output.read_text() == "before"
    assert capfd.readouterr() == ("", "")


def test_other_tokens_taken_for_real_are_refused(tmp_path: Path) -> None:
    space = VectorSpace(dim=6)
    encoder = named(OfVectors(torch.sin, mask=lambda values: torch.rand_like(values) < 0.5), space)
    with pytest.raises(ExportError, match="takes other tokens for real than the encoder does"):
        write_compared(encoder, space.sample(9), tmp_path / "encoder.pt2", "{}")
    assert list(tmp_path.iterdir()) == []


def test_a_masked_token_may_differ(tmp_path: Path) -> None:
    space = VectorSpace(dim=6)
    encoder = named(OfVectors(drawn, mask=torch.zeros_like), space)
    parity = write_compared(encoder, space.sample(9), tmp_path / "encoder.pt2", "{}")
    assert parity is not None
    assert parity.largest_difference == 0


def test_without_onnxruntime_a_model_is_written_and_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = VectorSpace(dim=6)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert write_compared(built("mlp", space), space.sample(3), tmp_path / "mlp.onnx", "{}") is None
    assert (tmp_path / "mlp.onnx").stat().st_size > 0


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    space = VectorSpace(dim=6)
    with pytest.raises(DataError, match=r"gone/mlp.pt2 cannot be written: No such file or directory"):
        write_compared(built("mlp", space), space.sample(3), tmp_path / "gone" / "mlp.pt2", "{}")


@pytest.mark.parametrize("error", ["ImportError('no libprotobuf')", "RuntimeError('no libprotobuf')"])
@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_package_that_cannot_be_imported_is_blamed_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, error: str
) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise {error}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(ExportError) as caught:
        FORMATS[".onnx"].check_packages()
    name = error.partition("(")[0]
    assert str(caught.value).startswith(f"{package} cannot be imported: {name}: no libprotobuf\nMend its installation")
