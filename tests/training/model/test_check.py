"""Models of strangers: what is refused before anything of them is loaded."""

import json
import pickle

import pytest
from safetensors.torch import load_file, save_file

from contracts.errors import ModelError
from training.model.check import (
    FAMILIES,
    check_folder,
    check_links,
    check_model,
    known_families,
    weight_shapes,
)
from training.model.policy import load_policy
from training.model.probe import probe
from training.model.template import try_template
from training.recipe.model import ModelRecipe

REQUIRED = ["config.json", "model.safetensors", "tokenizer_config.json", "processor_config.json"]


class Witness:
    """A pickle of it leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def refused(folder):
    """The error with which a folder is refused, by the check and by whoever loads it."""
    with pytest.raises(ModelError) as checked:
        check_model(folder)
    with pytest.raises(ModelError):
        load_policy(folder, ModelRecipe(path="unused"), system_prompt="")
    return str(checked.value)


def change(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    for key, value in values.items():
        section = config
        *sections, last = key.split("__")
        for name in sections:
            section = section[name]
        section[last] = value
    (folder / "config.json").write_text(json.dumps(config))


def test_the_families_are_those_that_transformers_maps():
    from transformers.models.auto import modeling_auto

    assert known_families() == set(getattr(modeling_auto, FAMILIES))


def test_a_good_model_passes_and_its_template_works(model):
    assert check_folder(model) == "qwen2_5_vl"
    check_model(str(model))
    try_template(model)


def test_what_is_no_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="There is no model"):
        check_model(tmp_path / "nowhere")


@pytest.mark.parametrize("name", REQUIRED)
def test_an_incomplete_folder_names_what_is_missing(name, model):
    (model / name).unlink()
    assert name in refused(model)


@pytest.mark.parametrize(
    "data",
    [
        b'{"model_type": "qwen2_',
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"",
        b"[" * 100_000,
        b'{"a":' * 9999,
    ],
)
def test_a_config_that_is_none_is_one_clear_error(data, model):
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        whole = (model / name).read_bytes()
        (model / name).write_bytes(data)
        assert name in refused(model)
        (model / name).write_bytes(whole)


def test_a_pickle_is_never_read_whatever_it_is_called(model, tmp_path):
    witness = tmp_path / "unpickled"
    pickled = pickle.dumps(Witness(witness))
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(pickled)
    assert "no whole safetensors file" in refused(model)
    # The real weights as a decoy of another name, a pickle as what transformers would fall back to.
    (model / "model.safetensors").unlink()
    (model / "decoy.safetensors").write_bytes(weights)
    (model / "pytorch_model.bin").write_bytes(pickled)
    assert "no model.safetensors" in refused(model)
    assert not witness.exists()


@pytest.mark.parametrize("part", [0, 4, 8, 100, 5000, -1])
def test_weights_that_are_cut_off_are_refused(part, model):
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[:part])
    assert "no whole safetensors file" in refused(model)


def test_a_header_that_promises_more_than_the_file_has_is_refused(model):
    for header in (
        {"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}},
        {"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"w": 3},
    ):
        text = json.dumps(header).encode()
        data = len(text).to_bytes(8, "little") + text + bytes(4)
        (model / "model.safetensors").write_bytes(data)
        assert "no whole safetensors file" in refused(model)
    (model / "model.safetensors").write_bytes((10**12).to_bytes(8, "little") + b"{}")
    assert "no whole safetensors file" in refused(model)


def test_weights_of_whole_numbers_are_no_weights(model):
    weights = load_file(model / "model.safetensors")
    save_file({name: one.int() for name, one in weights.items()}, model / "model.safetensors")
    assert "no weights" in refused(model)


def test_shards_are_those_of_the_index_and_of_the_folder(model, tmp_path):
    weights = load_file(model / "model.safetensors")
    names = sorted(weights)
    (model / "model.safetensors").unlink()
    parts = {"a.safetensors": names[:10], "b.safetensors": names[10:]}
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, model / file, metadata={"format": "pt"})
    index = {name: file for file, held in parts.items() for name in held}

    def write(weight_map):
        text = json.dumps({"metadata": {}, "weight_map": weight_map})
        (model / "model.safetensors.index.json").write_text(text)

    write(index)
    assert check_folder(model) == "qwen2_5_vl" and len(weight_shapes(model)) == len(weights)
    load_policy(model, ModelRecipe(path="unused"), system_prompt="")
    for odd in (
        {**index, names[0]: "../b.safetensors"},
        {**index, names[0]: "/etc/passwd"},
        {**index, names[0]: "pytorch_model.bin"},
        {**index, names[0]: "gone.safetensors"},
        {**index, names[0]: 3},
        {**index, names[0]: "b.safetensors"},
        {**index, "more": "a.safetensors"},
        [],
        {},
    ):
        write(odd)
        refused(model)


@pytest.mark.parametrize(
    "values",
    [
        {"text_config__num_hidden_layers": 3},
        {"text_config__num_hidden_layers": 10**9},
        {"text_config__num_hidden_layers": -1},
        {"text_config__num_hidden_layers": "two"},
        {"text_config__num_hidden_layers": 2.5},
        {"text_config__hidden_size": 64},
        {"text_config__hidden_size": 10**15},
        {"text_config__vocab_size": 10**9},
        {"text_config__intermediate_size": 2**30},
        {"text_config__head_dim": 2**30},
        {"vision_config__depth": 10**6},
        {"vision_config__hidden_size": 2**31 - 1},
        {"vision_config__num_heads": -4},
        {"image_token_id": 10**40},
        {"transformers_weights": "other.safetensors"},
    ],
    ids=str,
)
def test_a_config_of_another_model_than_the_weights_is_refused(values, model):
    change(model, **values)
    refused(model)


def test_weights_that_are_not_there_are_not_made_up(model):
    weights = load_file(model / "model.safetensors")
    removed = next(name for name in weights if "visual" in name and "qkv.weight" in name)
    del weights[removed]
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    for with_weights in (True, False):
        with pytest.raises(ModelError, match="weights are not there"):
            load_policy(
                model, ModelRecipe(path="unused"), system_prompt="", with_weights=with_weights
            )


def loading(folder):
    """The error with which a folder is refused that passes the check of its files."""
    with pytest.raises(ModelError) as caught:
        load_policy(folder, ModelRecipe(path="unused"), system_prompt="")
    return caught.value.what


def test_a_model_is_compared_before_it_is_built(model, monkeypatch):
    from transformers import AutoModelForImageTextToText

    def built(*_args, **_kwargs):
        pytest.fail("the model was built")

    weights = load_file(model / "model.safetensors")
    text = {name: one for name, one in weights.items() if "visual" not in name}
    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", built)
    monkeypatch.setattr("training.model.bounds.MAX_BUFFER", 2**16)
    change(model, text_config__head_dim=2**18)
    assert "inv_freq with 131072 numbers" in loading(model)
    change(model, text_config__head_dim=8)
    change(model, vision_config__depth=40, vision_config__hidden_size=8192)
    save_file(text, model / "model.safetensors", metadata={"format": "pt"})
    check_model(model)
    assert "some of its weights are not there" in loading(model)


@pytest.mark.parametrize(
    "values",
    [
        {"size": {"longest_edge": 4 * 10**9, "shortest_edge": 4 * 10**9}},
        {"size": {"longest_edge": 2**30, "shortest_edge": 2**30}},
        {"patch_size": 2**20},
        {"merge_size": 10**6},
        {"temporal_patch_size": 10**9},
    ],
    ids=str,
)
def test_a_processor_that_enlarges_without_measure_is_refused(values, model):
    path = model / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"].update(values)
    path.write_text(json.dumps(config))
    assert next(iter(values)) in loading(model)


@pytest.mark.parametrize("name", ["_attn_implementation", "attn_implementation"])
def test_a_config_that_names_a_kernel_is_refused(name, model):
    for odd in ("evil/kern", "paged|evil/kern", {"text_config": "evil/kern"}, ["evil/kern"], 3):
        for field in (name, f"text_config__{name}"):
            change(model, **{field: odd})
            assert name in refused(model)
            change(model, **{field: None})
    for known in ("sdpa", "flash_attention_2", {"text_config": "eager"}, None):
        change(model, **{name: known})
        check_model(model)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("generation_config.json", "[]"),
        ("generation_config.json", '{"a":' * 50_000 + "1" + "}" * 50_000),
        ("tokenizer.json", "{"),
        ("tokenizer.json", "[]"),
        ("tokenizer.json", '{"version": "1.0", "model": {"type": "Nope"}}'),
        ("special_tokens_map.json", "[]"),
        ("added_tokens.json", "[1]"),
    ],
)
def test_whatever_a_file_provokes_is_one_clear_error(name, data, model):
    (model / name).write_text(data)
    assert str(model) in loading(model) and "cannot be loaded" in loading(model)


@pytest.mark.parametrize(
    "values",
    [
        {"text_config": "x"},
        {"text_config__num_attention_heads": 0},
        {"text_config__num_attention_heads": 7},
        {"text_config__hidden_act": "nope"},
        {"text_config__rope_parameters": {"rope_type": "nope"}},
        {"text_config__vocab_size": None},
        {"text_config__pad_token_id": 10**9},
        {"text_config__layer_types": ["a"]},
        {"vision_config__patch_size": 0},
        {"quantization_config": 3},
        {"dtype": "nope"},
        {"image_token_id": "x"},
    ],
    ids=str,
)
def test_whatever_a_config_provokes_is_one_clear_error(values, model):
    change(model, **values)
    assert str(model) in loading(model)


def test_what_a_processor_provokes_is_the_probes_error(model):
    path = model / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"]["patch_size"] = 0
    path.write_text(json.dumps(config))
    policy = load_policy(model, ModelRecipe(path="unused"), system_prompt="")
    with pytest.raises(ModelError, match="ZeroDivisionError"):
        probe(policy)


def test_links_out_of_the_folder_and_other_bases_are_refused(model, tmp_path):
    (tmp_path / "secret").write_text("{}")
    for name in ("config.json", "extra/notes.txt"):
        link = model / name
        link.parent.mkdir(exist_ok=True)
        kept = link.read_bytes() if link.exists() else None
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / "secret")
        with pytest.raises(ModelError, match="is a link to no file of it"):
            check_links(model)
        link.unlink()
        if kept is not None:
            link.write_bytes(kept)
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/else"}')
    assert "names another model as its base" in refused(model)


def test_no_code_of_a_folder_runs(model, tmp_path, monkeypatch):
    witness = tmp_path / "ran"
    (model / "evil.py").write_text(
        f"open({str(witness)!r}, 'w')\nclass Config: ...\nclass Model: ...\n"
    )
    classes = {"AutoConfig": "evil.Config", "AutoModelForImageTextToText": "evil.Model"}
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    change(model, auto_map=classes)
    load_policy(model, ModelRecipe(path="unused"), system_prompt="")  # the class that it says it is
    change(model, model_type="evil")
    refused(model)
    assert not witness.exists()
