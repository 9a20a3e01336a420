"""The published models' sizes, against figures that others state."""

import json

import pytest

from contracts.errors import PlanError
from tests.training.plan.tiny import SIZES, new_policy
from training.plan.shape import read_config, shape_at


@pytest.mark.parametrize(
    ("name", "total", "vision", "head"),
    [
        # 3B: 3.75 B as safetensors' index on the hub says, the tied head once; 7B: 8.29 B; 32B:
        # 33.45 B. Heads are vocabulary x hidden.
        ("3B", 3_754_622_976, 668_684_288, 151_936 * 2048),
        ("7B", 8_292_166_656, 676_550_144, 152_064 * 3584),
        ("32B", 33_452_718_336, 688_841_984, 152_064 * 5120),
    ],
)
def test_parameters_of_the_published_models(name, total, vision, head):
    shape = shape_at(f"Qwen/Qwen2.5-VL-{name}-Instruct")
    assert shape.total == total
    assert shape.parameters["vision_tower"] + shape.parameters["projector"] == vision
    assert shape.head == head
    assert shape.is_tied == (name == "3B")


def test_a_language_model_adds_up_by_hand():
    """7B: 28 layers of q, k, v (with biases), o, gate, up, down and two norms; embedding and head.

    No code of transformers is asked.
    """
    hidden, intermediate, kv, rows = 3584, 18944, 512, 152_064
    attention = hidden * hidden + hidden + 2 * (hidden * kv + kv) + hidden * hidden
    layer = attention + 3 * hidden * intermediate + 2 * hidden
    expected = 28 * layer + hidden + 2 * rows * hidden
    assert shape_at("Qwen/Qwen2.5-VL-7B-Instruct").parameters["language_model"] == expected


@pytest.mark.parametrize("size", SIZES)
def test_the_meta_device_counts_as_the_real_model_does(size):
    policy, shape = new_policy(size)
    assert shape.total == sum(p.numel() for p in policy.model.parameters())
    assert [size for _, size in shape.sizes] == [p.numel() for p in policy.model.parameters()]


def test_a_folder_is_read_before_its_name_is(tmp_path):
    """A folder called like a published model is what it holds."""
    folder = tmp_path / "Qwen2.5-VL-7B-Instruct"
    folder.mkdir()
    config = read_config("Qwen/Qwen2.5-VL-3B-Instruct").to_dict()
    (folder / "config.json").write_text(json.dumps(config))
    assert shape_at(str(folder)).total == 3_754_622_976


@pytest.mark.parametrize("path", ["owner/unknown", "/nowhere/Qwen2.5-VL-7B-Instruct"])
def test_an_unknown_model_is_refused(path):
    with pytest.raises(PlanError, match=r"configuration of .* is not here"):
        shape_at(path)


def test_another_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(PlanError, match="does not know the family 'llava'"):
        shape_at(str(tmp_path))
