"""What to do about a broken promise, by check: the message says what is wrong, and this where to look for it."""

from __future__ import annotations

from collections.abc import Mapping

_IN_FLOAT32 = (
    "Compute sums, logarithms and distances from x.float(), within torch.autocast(device_type=…, enabled=False), and "
    "return tokens and states in the dtype of the input."
)

REMEDIES: Mapping[str, str] = {
    "name": "Correct `kind` or the docstring of the configuration class.",
    "settings": 'Declare each field as name: type = setting("what it means", default=…), in a class of '
    "@attrs.frozen(kw_only=True).",
    "defaults": "Change the default, or the range in setting(…).",
    "frozen": "Decorate the configuration class with @attrs.frozen(kw_only=True).",
    "metrics": "Correct `metrics` of the configuration class: Metric(name, what it is).",
    "builds": "Correct `build`, or the defaults that it is called with: users begin with them.",
    "shapes": "Return what the family's contract asks for, whatever the sizes of the batch.",
    "finite": "Bound what is divided by, or taken the logarithm or the root of: norm + 1e-6, x.clamp_min(1e-6).",
    "differentiable": "Compute the result from inputs and parameters whatever the batch: of an empty one 0 * x.sum().",
    "gradients": "Use every parameter in `forward`, and leave out what cuts the gradient: .detach(), torch.no_grad(), "
    "argmax, rounding. Make a tensor that is not trained a buffer.",
    "masked-slots": "Put zeros or −inf in masked slots before anything is summed over them: "
    "torch.where(mask[..., None], values, 0).",
    "rows": "Compute each row from itself alone: no statistics over the first dimension (BatchNorm), no fixed batch "
    "size in a reshape.",
    "object-order": "Treat all objects of an observation alike: a sum, a mean or attention over them, whatever their "
    "place in the list.",
    "pure-forward": "Return statistics from `forward`, and change buffers in `after_step`.",
    "repeatable": "Keep nothing between calls: what is remembered is a buffer that `after_step` changes.",
    "inputs": "Write to a copy: x = x + 1 instead of x += 1, x.masked_fill(…) instead of x.masked_fill_(…).",
    "seed": "Draw with torch alone and without a generator of your own: torch.rand(…), not random or numpy.",
    "host-sync": "Stay on the device: no .item(), .tolist(), float(tensor), `if tensor` or x[mask]; torch.where(…) "
    "takes their place.",
    "bf16": _IN_FLOAT32,
    "fp16": _IN_FLOAT32,
    "compile": "Let no value of a tensor decide what Python does, and call torch alone in `forward`.",
    "state-dict": "Make whatever `forward` uses a parameter or a buffer (register_buffer), not a plain attribute.",
    "resume": "Make whatever changes while it trains a persistent buffer (register_buffer), not a plain attribute.",
    "statistics": "Detach statistics, return them only when `collect` is True, and take them in an `after_step`.",
    "after-step": "Write to persistent buffers in place, keep their shapes and dtypes, and stay on the device.",
    "halves": "Put what adds up into statistics: sums and counts instead of means.",
    "many-steps": "Bound what adds up over steps: a moving average instead of a sum.",
    "initialise": "Draw with torch alone in `initialise`, keep shapes and dtypes, and bear few or equal tokens.",
    "without-time": "Treat (B, N, D) as one place of (B, T, N, D): every leading dimension alike.",
    "weights": "Return softmax over time of the scores from `time_weights`, (B, T).",
    "encoder-views": "Write `forward` as self.embed(self.read(observations)), and change copies in views.",
    "figures": "Declare each figure in `metrics` of the configuration class, and return figure.detach() of a scalar.",
    "views": "Return changed copies that are of the data's space, drawn with torch alone.",
    "whole-set": "Return one number whatever the number of candidates; divide by nothing that may be 0.",
    "content": "Return observations as the space says: its dtypes, sizes and ranges.",
    "split": "Keep all sequences of a task on one side, and give every task a name.",
    "description": "Give description, notes and fingerprint as the contract asks for.",
    "fingerprint": "Make it the SHA-256 of the data and of every setting that changes them, and draw by a seed alone.",
    "space-draws": "Correct `sample` of the space, or its `check`.",
    "space-keys": "Make the key of an observation from its content alone: equal content, equal key.",
    "space-alike": "Return shares in 0 … 1, symmetric, 1 for an observation with itself.",
    "space-edits": "Change something that the space's key tells apart, and stay within the space.",
    "space-fits": "Return observations that fit already as they are.",
    "space-readings": "Return features (S, F), and pictures (S, H, W, 3) in 0 … 1.",
    "space-state": "Keep numbers, texts and tuples of them alone in the fields of the space.",
    "transforms": "Return a changed copy of the batch that is of its space, drawn with torch alone.",
    "candidates": "Score each candidate by itself and the context, never by its place or its neighbours.",
    "fit": "Return a dict of finite floats from `fit`, and begin each fit anew, with a generator of your own.",
    "methods": "Give the method the arguments of jepa_core.contracts.Observer.",
    "rules": "Name metrics that every run reports, and give each rule an id of its own, a title and advice.",
}
"""Check → what to do, in a sentence or two. Of `ranks` it depends on what differs, and its message says it."""

_OF_FAMILY = {
    ("null", "inputs"): "Work on copies, and draw with a torch.Generator of your own.",
    ("null", "shapes"): "Return float32 scores (contexts, candidates), finite whatever the observations.",
    (
        "dataset",
        "shapes",
    ): "Give both splits the same tensors, (sequences, context + target, …), and a task for each sequence.",
    ("observer", "builds"): "Return an object with at least one of the methods of jepa_core.contracts.Observer.",
    ("scenario", "builds"): "Return a sequence of jepa_core.watch.rules.Scenario.",
}


def remedy_of(family: str, check: str) -> str:
    """What to do where a component of a family fails a check; empty where the message says it."""
    return _OF_FAMILY.get((family, check), REMEDIES.get(check, ""))
