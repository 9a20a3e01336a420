"""The weights of a checkpoint, against torch's own idea of what is finite."""

import hashlib
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from contracts.errors import DataError
from data_checks.gate import GateError, check_checkpoint
from data_checks.weights import num_nonfinite, read_headers, tensors_frame

FORMATS = {
    torch.float64: np.uint64,
    torch.float32: np.uint32,
    torch.float16: np.uint16,
    torch.bfloat16: np.uint16,
}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@given(data=st.data(), dtype=st.sampled_from(list(FORMATS)))
def test_any_bits_are_finite_when_torch_says_so(data, dtype, scratch):
    kind = np.dtype(FORMATS[dtype])
    special = {torch.bfloat16: [0x7F80, 0xFF80, 0x7FC1, 0x7F7F, 0x0001]}.get(dtype, [])
    whole = st.integers(0, 2 ** (8 * kind.itemsize) - 1)
    bits = data.draw(st.lists(whole | st.sampled_from([0, *special]), min_size=1, max_size=40))
    values = torch.from_numpy(np.array(bits, dtype=kind).view(f"i{kind.itemsize}")).view(dtype)
    first, last = torch.full((3,), torch.nan), torch.full((5,), torch.inf)
    (scratch / "model.safetensors").write_bytes(save({"a": first, "w": values, "z": last}))
    tensor = read_headers(scratch)["w"]
    assert num_nonfinite(scratch, tensor) == int((~torch.isfinite(values)).sum())


@pytest.fixture
def models(tmp_path):
    """A model in two files before the stage, and the same in one file behind it."""
    weights = {
        "embed": torch.linspace(-1, 1, 30, dtype=torch.bfloat16).view(10, 3),
        "head": torch.ones(3, 10),
        "scale": torch.tensor(2.0),
    }
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    save_file({"embed": weights["embed"]}, before / "model-00001-of-00002.safetensors")
    rest = {name: one for name, one in weights.items() if name != "embed"}
    save_file(rest, before / "model-00002-of-00002.safetensors")
    return weights, before, after


@pytest.fixture
def look(recipe, models):
    """Checks the weights as a stage would have left them."""
    _, before, after = models

    def looked(weights, digests=None):
        save_file(weights, after / "model.safetensors")
        (after / "config.json").write_text("{}")
        stored = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in after.iterdir()
        }
        digests = stored if digests is None else stored | digests
        return check_checkpoint(recipe, recipe.stages[0], after, before, digests)

    return looked


def test_sound_weights_pass(models, look):
    weights, _, _ = models
    record = look(weights).record
    assert record.passed and record.name == "checkpoint-cold_start"
    assert len(record.checks) == 6


def change(weights, name, edit):
    copy = {key: value.clone() for key, value in weights.items()}
    edit(copy[name])
    return copy


FAULTS = {
    "a NaN": (lambda w: change(w, "embed", lambda t: t[4].fill_(torch.nan)), "finite weights"),
    "an infinity": (lambda w: change(w, "scale", lambda t: t.fill_(torch.inf)), "finite weights"),
    "a tensor less": (lambda w: {"embed": w["embed"], "scale": w["scale"]}, "tensors"),
    "a tensor more": (lambda w: w | {"extra": torch.ones(2)}, "new tensors"),
    "another shape": (lambda w: w | {"head": torch.ones(10, 3)}, "shapes"),
    "integers": (lambda w: w | {"head": torch.ones(3, 10, dtype=torch.int8)}, "number formats"),
}
NAMED = {"a tensor more": "extra", "an infinity": "scale", "a NaN": "embed"}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_found_and_its_tensor_named(fault, models, look):
    edit, expected = FAULTS[fault]
    with pytest.raises(GateError) as caught:
        look(edit(models[0]))
    assert caught.value.broken_rows == {f"tensors: {expected}": [NAMED.get(fault, "head")]}


def test_a_file_that_changed_since_it_was_stored_is_named(models, look):
    with pytest.raises(GateError) as caught:
        look(models[0], {"model.safetensors": "0" * 64, "gone.json": "1" * 64})
    assert caught.value.broken_rows == {
        "files: file digests": ["gone.json", "model.safetensors"],
    }
    assert caught.value.record.stopping[0].num_broken == 2


def test_how_many_values_are_not_finite_is_counted(models):
    weights, before, after = models
    save_file(change(weights, "embed", lambda t: t[4].fill_(torch.nan)), after / "m.safetensors")
    frame = tensors_frame(after, before).set_index("id")
    assert frame.loc["embed", "num_nonfinite"] == 3 and frame.loc["embed", "num_values"] == 30
    assert frame.loc["scale", "shape"] == "one value"


def test_a_file_that_was_cut_off_is_a_data_error(models, look, tmp_path):
    look(models[0])
    path = tmp_path / "after" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"model\.safetensors cannot be checked"):
        tensors_frame(tmp_path / "after", tmp_path / "before")
    shutil.rmtree(tmp_path / "after")
    with pytest.raises(DataError, match="holds no safetensors file"):
        read_headers(tmp_path / "after")
