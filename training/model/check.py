"""Whether a model folder is what it says, before anything of it is loaded.

Whoever made it is a stranger: it holds numbers and JSON, no code and no pickles, its files are
whole, and its configuration speaks of the weights that are there. No weights are read.
"""

import ast
import importlib.util
import json
import re
from collections.abc import Mapping
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from contracts.errors import ModelError
from contracts.paths import is_file_name, leads_out
from contracts.texts import marked

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
MAX_CONFIG_BYTES = 2**24
MAX_INDEX_BYTES = 2**27
MAX_LAYERS, MAX_WIDTH, MAX_INT = 1024, 2**18, 2**31
_LAYERS = re.compile(r"^(?:num|n)_(?:\w+_)?layers?$|depth$")
_WIDTH = re.compile(
    r"(?:hidden|intermediate|embed|patch|head)_(?:size|dim)$|_heads$|experts$|channels$"
)
# Another name of an attention makes transformers fetch a kernel, which is compiled code.
_ATTENTION = re.compile(r"^_?attn_implementation(?:_internal)?$")
_ATTENTIONS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
_TEXT = r"(?:^model|(?:^|\.)(?:language_model|text_model)(?:\.model)?)"
_TEXT_LAYER = re.compile(rf"{_TEXT}\.layers\.(\d{{1,9}})\.")
_TEXT_EMBEDDING = re.compile(rf"{_TEXT}\.embed_tokens\.weight$")
_FLOATS = ("F64", "F32", "F16", "BF16")
_LACKING = ("missing_keys", "mismatched_keys", "error_msgs")  # of the loading of transformers
FAMILIES = "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"  # of transformers
Shapes = dict[str, tuple[int, ...]]


def check_model(path: str | Path) -> None:
    """Checks that a model folder is there and holds a vision-language model; loads no weights.

    Raises:
        ModelError: Nothing is there, a file is missing, damaged or of another kind than it says,
            or the model cannot read images.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ModelError(
            f"There is no model {path}: no such folder.",
            where=f"model.path = {str(path)!r}",
            rule="a policy is read from a folder of this machine",
            fix="correct the path; `make pocket-base` makes the pocket world's base model",
        )
    model_type = check_folder(folder)
    if model_type not in known_families():
        raise ModelError(
            f"{path} holds a model of type {model_type!r}, which is no vision-language model.",
            where=f"model.path = {str(path)!r}",
            rule="the policy is an image-text-to-text model known to transformers",
            fix="choose a vision-language model, for example of the Qwen2.5-VL family",
        )


@cache
def known_families() -> frozenset[str]:
    """Types of the image-text-to-text models that transformers can load.

    Read out of its source: importing that module imports torch, five seconds before every run.
    """
    found = importlib.util.find_spec("transformers")  # of the package: looking inside imports it
    assert found is not None and found.origin is not None
    path = Path(found.origin).parent / "models/auto/modeling_auto.py"
    source = path.read_text(encoding="utf-8")
    # Alone: the syntax of the whole file takes most of a second.
    listed = re.search(rf"^{FAMILIES} = OrderedDict\((.*?)^\)$", source, re.DOTALL | re.MULTILINE)
    if listed is None:
        raise RuntimeError(f"transformers has no {FAMILIES} any more")
    return frozenset(dict(ast.literal_eval(listed[1].strip())))


def check_links(folder: Path) -> None:
    """Checks that a folder, as somebody handed it over, links to nothing beyond itself.

    Raises:
        ModelError: It does.
    """
    for path in folder.rglob("*"):
        if path.is_symlink() and leads_out(path, folder):
            shown = marked(str(path.relative_to(folder)))
            raise refused(folder, f"{shown} is a link to no file of it")


def check_folder(folder: Path) -> str:
    """Checks a model folder's files.

    Returns:
        The model's type, as its configuration states it.

    Raises:
        ModelError: See `check_model`.
    """
    _require_files(folder)
    config = read_object(folder / "config.json")
    for name in ("tokenizer_config.json", "processor_config.json", "preprocessor_config.json"):
        if (folder / name).exists():
            read_object(folder / name)
    _check_values(folder, config)
    _check_weights_fit(folder, config, weight_shapes(folder))
    return str(config.get("model_type", "unknown"))


def _require_files(folder: Path) -> None:
    missing = [
        name for name in ("config.json", "tokenizer_config.json") if not (folder / name).is_file()
    ]
    if not (folder / WEIGHTS).is_file() and not (folder / INDEX).is_file():
        missing.append(f"{WEIGHTS}, nor {INDEX}")  # transformers would look for pickles
    if not (
        (folder / "preprocessor_config.json").is_file()
        or (folder / "processor_config.json").is_file()
    ):
        missing.append("processor_config.json")
    if missing:
        raise ModelError(
            f"{folder} is no complete vision-language model: no {', '.join(missing)}.",
            where=f"model.path = {str(folder)!r}",
            rule="a model folder holds config.json, safetensors weights, tokenizer and processor",
            fix="point model.path at a complete model folder, or copy the model again",
        )
    if (folder / "adapter_config.json").exists():
        raise refused(folder, "adapter_config.json names another model as its base")


def read_object(path: Path, max_bytes: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
    """A JSON object of a model folder.

    Raises:
        ModelError: The file is too large, or holds no JSON object.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise refused(path.parent, f"{path.name} has more than {max_bytes} bytes")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise ModelError(
            f"{path} is not valid JSON: {marked(reason)}.",
            where=f"model.path = {str(path.parent)!r}",
            rule=f"a model folder has a readable {path.name}",
            fix="copy the model again, completely",
        ) from error
    if not isinstance(values, dict):
        raise refused(path.parent, f"{path.name} holds a {type(values).__name__}, no object")
    return values


def weight_shapes(folder: Path) -> Shapes:
    """Shapes of all weights by name, from the files' headers.

    Raises:
        ModelError: A file is missing, no safetensors, cut off, or holds other weights than the
            index says.
    """
    if (folder / WEIGHTS).is_file():
        return _header(folder, WEIGHTS)
    named = read_object(folder / INDEX, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(named, dict) or not named or not all(map(_is_shard, named.values())):
        raise refused(folder, f"{INDEX} names no safetensors files of this folder")
    shapes: Shapes = {}
    for shard in sorted(set(named.values())):
        held = _header(folder, shard)
        if held.keys() != {name for name, file in named.items() if file == shard}:
            raise refused(folder, f"{shard} holds other weights than {INDEX} says")
        shapes |= held
    return shapes


def _is_shard(name: object) -> bool:
    return isinstance(name, str) and is_file_name(name) and name.endswith(".safetensors")


def _header(folder: Path, name: str) -> Shapes:
    """Shapes of a safetensors file; the library compares header and size when it opens one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / name, framework="np") as file:
            slices = {weight: file.get_slice(weight) for weight in file.keys()}  # noqa: SIM118
            shapes = {weight: tuple(one.get_shape()) for weight, one in slices.items()}
            kinds = {one.get_dtype() for one in slices.values()}
    except (SafetensorError, OSError, ValueError) as error:
        raise refused(
            folder, f"{name} is no whole safetensors file ({marked(str(error))[:200]})"
        ) from error
    if not kinds & set(_FLOATS):
        raise refused(
            folder, f"{name} holds no weights, but {', '.join(sorted(kinds)) or 'nothing'}"
        )
    return shapes


def _check_values(folder: Path, config: dict[str, Any]) -> None:
    """Refuses what would fetch code, or have a model of no machine built before it is compared."""
    waiting: list[tuple[str, object]] = [("config", config)]
    while waiting:
        field, value = waiting.pop()
        name = field.rpartition(".")[2]
        if _ATTENTION.search(name) and not _is_known_attention(value):
            raise refused(folder, f"{marked(field)[:200]} is {marked(str(value))[:60]!r}")
        if isinstance(value, dict):
            waiting += [(f"{field}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(field, inner) for inner in value]
        elif _is_absurd(name, value):
            raise refused(folder, f"{marked(field)[:200]} is {str(value)[:30]!r} in config.json")


def _is_known_attention(value: object) -> bool:
    """Whether it is none, one that transformers brings along, or one for each part of a model."""
    if isinstance(value, dict):
        return all(inner is None or inner in _ATTENTIONS for inner in value.values())
    return value is None or value in _ATTENTIONS


def _is_absurd(name: str, value: object) -> bool:
    """Whether no model has such a value; counts of layers and widths must be counts."""
    most = MAX_LAYERS if _LAYERS.search(name) else MAX_WIDTH if _WIDTH.search(name) else None
    if most is None or value is None or isinstance(value, bool):
        return isinstance(value, int) and abs(value) > MAX_INT
    return not (isinstance(value, int) and 0 <= value <= most)


def _check_weights_fit(folder: Path, config: dict[str, Any], shapes: Shapes) -> None:
    """Compares the language model's size in the configuration with the weights.

    What is compared is what every family names alike; `load_policy` compares the rest, name by
    name.
    """
    if "transformers_weights" in config:
        raise refused(folder, "config.json names files of its own for the weights")
    nested = config.get("text_config")
    text = nested if isinstance(nested, dict) else config
    wanted = (text.get("vocab_size"), text.get("hidden_size"))
    for name, shape in shapes.items():
        if _TEXT_EMBEDDING.search(name) and None not in wanted and shape != wanted:
            raise refused(folder, f"config.json says {wanted} of {name}, the weights {shape}")
    layers = {int(found[1]) for name in shapes if (found := _TEXT_LAYER.search(name))}
    num_layers = text.get("num_hidden_layers")
    if layers and isinstance(num_layers, int) and not set(range(num_layers)) <= layers:
        raise refused(
            folder, f"config.json speaks of {num_layers} layers, the weights have {len(layers)}"
        )
    if not sum(map(prod, shapes.values())):
        raise refused(folder, "its weights are empty")


def require_all_weights(path: str | Path, found: Mapping[str, Any]) -> None:
    """Refuses a model of which a part was not in its files: it would be made up at random.

    Args:
        path: Of the model.
        found: What `from_pretrained` says about the loading.

    Raises:
        ModelError: Weights are missing or have another shape.
    """
    lacking = sorted({str(name) for kind in _LACKING for name in found.get(kind, ())})
    if lacking:
        shown = marked(", ".join(lacking[:5]))
        raise refused(Path(path), f"{len(lacking)} of its weights are not there, such as {shown}")


def refused(folder: Path, what: str) -> ModelError:
    """The error for a folder that is not what it says."""
    return ModelError(
        f"{folder} is not to be trusted: {what}.",
        where=f"model.path = {str(folder)!r}",
        rule="a model folder holds safetensors weights that are whole and those that config.json "
        "speaks of; no code, no pickles, no links out of it",
        fix="copy the model again, from somebody you trust; have pickled weights converted there",
    )
