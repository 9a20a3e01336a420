"""One tiny random model of each family, with its real processor class, saved as a model folder.

No hub is needed: the models come from transformers' configurations, a tokenizer of bytes and
chat templates in each family's format. Their numbers are random, and their shapes are the
families': deepstack, experts, tiles, sliding windows, positions in space.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from experiments.tiny_families import llava, others, qwen
from experiments.tiny_families.parts import Config, Processor
from training.model.family import PretrainedModel, as_published

_DEVIATION = 0.15  # wide enough that the distributions of next tokens are far from flat


@dataclass(frozen=True)
class TinyFamily:
    """How to make one.

    Attributes:
        name: As people write it.
        model_type: As transformers writes it.
        build: Makes the processor and the configuration.
    """

    name: str
    model_type: str
    build: Callable[[], tuple[Processor, Config]]

    def save(self, folder: Path, seed: int = 0) -> Path:
        """Writes the model folder; the same seed writes the same weights."""
        processor, config = self.build()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = tf.AutoModelForImageTextToText.from_config(config).float()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if parameter.dim() > 1 or "bias" in name:
                        parameter.normal_(std=_DEVIATION)
        tokenizer = processor.tokenizer
        model.generation_config = tf.GenerationConfig(
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
        )
        model.save_pretrained(folder)
        _write_as_published(folder / "model.safetensors", model)
        processor.save_pretrained(folder)
        return folder


def _write_as_published(path: Path, model: PretrainedModel) -> None:
    """Writes the weights as the family's published files have them; loading turns them back."""
    weights = load_file(path)
    for name, weight in model.named_parameters():
        # transformers has written the name with or without its first part.
        own = name if name in weights else name.removeprefix("model.")
        if own in weights:
            published, laid_out = as_published(model, name, weight.detach())
            del weights[own]
            weights[published if own == name else published.removeprefix("model.")] = laid_out
    contiguous = {name: weight.contiguous() for name, weight in weights.items()}
    save_file(contiguous, path, metadata={"format": "pt"})


# Held to the probe's bound in CI.
PROVEN = (
    TinyFamily("Qwen2-VL", "qwen2_vl", qwen.qwen2_vl),
    TinyFamily("Qwen2.5-VL", "qwen2_5_vl", qwen.qwen2_5_vl),
    TinyFamily("Qwen3-VL", "qwen3_vl", qwen.qwen3_vl),
    TinyFamily("Qwen3-VL-MoE", "qwen3_vl_moe", qwen.qwen3_vl_moe),
    TinyFamily("GLM-4V", "glm4v", qwen.glm4v),
    TinyFamily("LLaVA", "llava", llava.llava),
    TinyFamily("LLaVA-Next", "llava_next", llava.llava_next),
    TinyFamily("InternVL", "internvl", llava.internvl),
    TinyFamily("Gemma3", "gemma3", llava.gemma3),
)
# Looked at, and promised nothing.
OTHERS = (
    TinyFamily("LLaVA-OneVision", "llava_onevision", others.llava_onevision),
    TinyFamily("Idefics3", "idefics3", others.idefics3),
    TinyFamily("Mistral3", "mistral3", others.mistral3),
    TinyFamily("Qwen3.5", "qwen3_5", others.qwen3_5),
)
