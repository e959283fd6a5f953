"""A trained model from Python: what it makes of observations, and what it refuses."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch

import jepa_core as jepa
from jepa_core.contracts import Observations
from jepa_core.errors import CheckpointError, DataError, RecipeError, RunDirectoryError

FRAMES: dict[str, Any] = {
    "name": "frames",
    "data": {"kind": "moving_digits", "num_sequences": 300, "side": 12},
    "encoder": {"kind": "vit", "dim": 16, "layers": 1, "patch": 6},
    "quantizer": {"kind": "ema_vq", "codes": 8},
    "losses": {"info_nce": {}},
    "train": {"epochs": 1},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> jepa.Run:
    return jepa.train(FRAMES, device="cpu", runs_dir=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def model(run: jepa.Run) -> jepa.Model:
    return run.load(device="cpu")


def test_arrays_are_what_the_losses_saw(model: jepa.Model) -> None:
    split = model.data().validation
    embedded = model.embed(split, batch_size=7)
    with torch.no_grad():
        forward, _ = model.module.encode(split.observations, None)
    expected = {
        "state": forward.state,
        "prediction": forward.predicted,
        "target": forward.target,
        "tokens": forward.context_quantized.values,
        "mask": forward.context_embeddings.mask,
        "codes": forward.context_quantized.codes,
        "task": split.tasks,
        **{f"labels.{name}": values for name, values in split.labels.items()},
    }
    assert list(embedded) == list(expected)
    for name, values in expected.items():
        assert values is not None
        np.testing.assert_allclose(embedded[name], values.numpy(), rtol=1e-5, atol=1e-6)
        assert embedded[name].dtype == values.numpy().dtype
    assert embedded.state is embedded["state"]
    assert model.embedding_dim == embedded.state.shape[1]
    assert "state (" in repr(embedded)


def test_observations_come_in_many_forms(model: jepa.Model) -> None:
    pixels = model.data().validation.observations["pixels"]
    expected = model.embed(Observations({"pixels": pixels})).prediction
    for given in (pixels, pixels.numpy(), {"pixels": pixels.numpy()}, pixels.numpy()[:, :, :, ::1]):
        assert np.array_equal(model.embed(given).prediction, expected)
    context = model.embed(pixels[:, :-1])
    assert np.array_equal(context.prediction, expected)
    assert "target" not in context
    smaller = model.embed(pixels[..., :10, :10], ["prediction"])
    padded = torch.nn.functional.pad(pixels[..., :10, :10], (0, 2, 0, 2))
    assert np.array_equal(smaller.prediction, model.embed(padded).prediction)
    assert list(smaller) == ["prediction"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda p: p[:, :2],
            r"pixels begins with \(\d+, 2\): the model takes",
        ),
        (lambda p: p[0, 0], "of 3 dimensions, and 5 are needed"),
        (lambda p: p * 255, "this is something else: a pixel is"),
        (lambda p: (p * 255).to(torch.uint8), "pixels are torch.uint8"),
        (lambda p: torch.nn.functional.pad(p, (0, 3)), "The weights take images of 12 × 12"),
        (lambda p: {"pixel": p}, "images are pixels, and pixel was given"),
        (lambda p: p[:0], "no sequence to embed"),
        (lambda _: [["a"]], "pixels is no array of numbers"),
        (lambda p: p.where(p < 2, torch.nan) + torch.nan, "a pixel is nan"),
    ],
)
def test_what_the_model_does_not_take_is_refused(
    model: jepa.Model, change: Callable[[torch.Tensor], Any], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        model.embed(change(model.data().validation.observations["pixels"]))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda data, _: data, "whole dataset. Give one of its splits, .train or .validation"),
        (lambda *_: None, "None is nothing to embed. Give arrays or tensors, or a split"),
        (lambda *_: "digits", "'digits' is nothing to embed"),
        (lambda _, p: p.to_sparse(), "pixels is a sparse tensor. Give it dense"),
        (lambda _, p: Observations({"pixels": p.to("meta")}), "pixels lies on the meta device"),
        (lambda _, p: p.to("meta"), "pixels lies on the meta device"),
        (lambda _, p: np.ma.masked_array(p.numpy(), p.numpy() > 0.5), "masked values. Say what stands there"),
        (lambda _, p: p.numpy().astype(object), r"pixels is no array of numbers: can't .*[^.]\.$"),
    ],
)
def test_what_holds_no_values_to_embed_is_refused(
    model: jepa.Model, make: Callable[[Any, torch.Tensor], Any], told: str
) -> None:
    data = model.data()
    with pytest.raises(DataError, match=told):
        model.embed(make(data, data.validation.observations["pixels"]))


def test_arrays_that_cannot_be_written_to_or_mask_nothing_are_taken(model: jepa.Model) -> None:
    pixels = model.data().validation.observations["pixels"].numpy()
    frozen = pixels.copy()
    frozen.flags.writeable = False
    # A warning of torch about it would be an error here.
    for given in (frozen, np.ma.masked_array(pixels)):
        assert np.array_equal(model.embed(given).state, model.embed(pixels).state)


@pytest.mark.parametrize("arrays", ["state", ("state",), {"state"}, iter(["state"])])
def test_names_of_arrays_come_in_many_forms(model: jepa.Model, arrays: Any) -> None:
    assert list(model.embed(model.data().validation.observations, arrays)) == ["state"]


def test_what_names_no_arrays_is_refused(model: jepa.Model) -> None:
    with pytest.raises(RecipeError, match=r"arrays = 3: give a list of names"):
        model.embed(model.data().validation, 3)  # type: ignore[arg-type]


def test_what_was_embedded_shares_nothing_with_the_data(model: jepa.Model) -> None:
    split = model.data().validation
    before = {"task": split.tasks.clone()} | {f"labels.{name}": v.clone() for name, v in split.labels.items()}
    embedded = model.embed(split, ["state"])
    for name in before:
        embedded[name][:] = -7
    after = {"task": split.tasks} | {f"labels.{name}": values for name, values in split.labels.items()}
    for name, values in before.items():
        assert torch.equal(after[name], values)


def test_arrays_that_are_not_there_are_refused(model: jepa.Model) -> None:
    split = model.data().validation
    with pytest.raises(RecipeError, match=r"no array 'states' of embeddings\. There are state, prediction"):
        model.embed(split, ["states"])
    with pytest.raises(RecipeError, match="There are no target to give: the data has the 3 of context alone"):
        model.embed(split.observations[:, :-1], ["target"])
    with pytest.raises(AttributeError, match=r"no array 'states' here\. There are state"):
        model.embed(split).states  # noqa: B018


def test_other_data_is_the_same_kind_with_changes(model: jepa.Model) -> None:
    assert len(model.data(set={"data.num_sequences": 100}).train) < len(model.data().train)
    with pytest.raises(RecipeError, match=r"optimizer, train cannot be set here: only data\.\* can"):
        model.data(set={"train.epochs": 2, "optimizer.lr": 1.0})


def test_a_checkpoint_is_chosen_by_step(run: jepa.Run, model: jepa.Model) -> None:
    assert jepa.load(run, step=model.step, device="cpu").why == ""
    assert jepa.load(run.path, step="newest", device="cpu").why == "newest"
    assert f"step {model.step}" in repr(model)
    with pytest.raises(CheckpointError, match="no checkpoint of step 7"):
        jepa.load(run, step=7)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"step": "newst"}, r"^step='newst' is no checkpoint"),
        ({"device": "tpu"}, r"^device='tpu' is no device name"),
        ({"device": "meta"}, r"^device='meta' is not supported"),
        ({"precision": "fp8"}, r'set: train\.precision="fp8"'),
    ],
)
def test_refusals_name_arguments(run: jepa.Run, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(jepa.JepaError, match=told):
        jepa.load(run, **arguments)


def test_none_is_what_is_usual(run: jepa.Run, model: jepa.Model) -> None:
    usual = jepa.load(run, step=None, device=None, precision=None, plugins=())
    assert (usual.step, usual.why) == (model.step, model.why)
    assert jepa.load(run, device=torch.device("cpu")).device == torch.device("cpu")


@pytest.fixture
def beginning(run: jepa.Run, tmp_path: Path) -> Path:
    """A run as it is before its recipe is written."""
    path = tmp_path / "beginning"
    path.mkdir()
    status = orjson.loads((run.path / "status.json").read_bytes())
    alive = {"state": "starting", "pid": os.getpid(), "host": socket.gethostname(), "heartbeat": time.time()}
    (path / "status.json").write_bytes(orjson.dumps(status | alive))
    return path


@pytest.mark.parametrize("ask", [jepa.load, jepa.resume, jepa.evaluate])
def test_a_run_that_begins_says_so(ask: Callable[..., Any], beginning: Path) -> None:
    with pytest.raises(RunDirectoryError, match="beginning is starting: it has no recipe and no checkpoint yet"):
        ask(beginning)


def test_a_run_without_its_recipe_says_so(run: jepa.Run, tmp_path: Path) -> None:
    path = shutil.copytree(run.path, tmp_path / "copy")
    (path / "recipe.toml").unlink()
    with pytest.raises(RunDirectoryError, match=r"copy has no recipe\.toml"):
        jepa.load(path)


def test_a_checkpoint_that_was_changed_is_refused(tmp_path: Path) -> None:
    run = jepa.train(FRAMES, device="cpu", runs_dir=tmp_path)
    for tensors in run.path.glob("checkpoints/*/tensors.safetensors"):
        content = bytearray(tensors.read_bytes())
        content[-5] ^= 1
        tensors.write_bytes(content)
    with pytest.raises(CheckpointError, match="its SHA-256 sum is not the manifest's"):
        run.load(step="newest")


def test_weights_are_loaded_without_the_data_they_were_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    np.savez(file, observations=np.random.default_rng(0).random((60, 4, 1, 8, 8), dtype=np.float32))
    tables = {
        "data": {"kind": "arrays", "path": str(file)},
        "encoder": {"kind": "convnet", "dim": 8, "stages": 1},
        "losses": {"info_nce": {}},
        "train": {"epochs": 1, "batch_size": 16},
    }
    run = jepa.train(tables, device="cpu", runs_dir=tmp_path / "runs")
    observations = run.load(device="cpu").data().validation.observations
    expected = run.load(device="cpu").embed(observations).state
    file.unlink()
    model = run.load(device="cpu")
    assert np.array_equal(model.embed(observations).state, expected)
    with pytest.raises(jepa.JepaError, match=r"mine\.npz"):
        model.data()


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".parquet"])
def test_what_is_saved_is_there_whole(model: jepa.Model, tmp_path: Path, ending: str) -> None:
    embedded = model.embed(model.data().validation)
    path = embedded.save(tmp_path / f"mine{ending}")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match=r"is there already\. Give another name, or replace=True to replace it"):
        embedded.save(path)
    embedded.save(path, replace=True)


def test_doubles_and_lists_of_them_are_taken_as_the_singles_that_they_hold(model: jepa.Model) -> None:
    frames = np.random.default_rng(0).random((3, model.context_length, 1, 12, 12))
    singles = model.embed(frames.astype(np.float32), ["state"])
    for given in (frames, frames.tolist(), torch.as_tensor(frames)):
        assert np.array_equal(model.embed(given, ["state"]).state, singles.state)


def test_a_forgotten_dimension_is_told_from_a_wrong_one(model: jepa.Model) -> None:
    with pytest.raises(DataError, match=r"shape \(5, 3, 12, 12\), of 4 dimensions, and 5 are needed"):
        model.embed(torch.rand(5, 3, 12, 12))


def test_saved_tasks_have_names_where_they_are_given(model: jepa.Model, tmp_path: Path) -> None:
    data = model.data()
    path = model.embed(data.validation, ["state"]).save(tmp_path / "e.npz", task_names=data.task_names)
    named = [data.task_names[task] for task in data.validation.tasks.tolist()]
    assert np.load(path)["task"].tolist() == named


def test_what_is_not_there_is_told_with_what_is(run: jepa.Run, model: jepa.Model) -> None:
    embedded = model.embed(model.data().validation, ["state"])
    with pytest.raises(KeyError, match="no array 'sate'; there are state, task"):
        embedded["sate"]
    with pytest.raises(KeyError, match=r"no row reports 'loss\.totl'; there are loss\.total"):
        run.metrics["loss.totl"]


def test_what_holds_much_shows_itself_in_a_line(run: jepa.Run, model: jepa.Model) -> None:
    data, evaluation = model.data(), jepa.evaluate(run)
    assert repr(data).startswith("<SequenceDataset 300 ")
    assert "validation sequences of images of 12" in repr(data)
    assert repr(data.validation).startswith("<Sequences pixels (")
    assert f"MRR {evaluation.model.mrr:.3f}, {evaluation.nulls.figures[0].name}" in repr(evaluation)
    for shown in (data, data.validation, evaluation):
        assert len(repr(shown).splitlines()) == 1
        assert len(repr(shown)) < 300
