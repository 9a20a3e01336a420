"""What the tiny families share: a tokenizer of bytes, a language model's shape, a chat template."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import tokenizers as tk
import transformers as tf

# Classes of transformers, which are untyped.
Tokenizer: TypeAlias = Any
Processor: TypeAlias = Any
Config: TypeAlias = Any
StockClass: TypeAlias = Any
Setting: TypeAlias = Any

HIDDEN = 64
HEAD = 32  # the smallest that vLLM's attention for CPUs takes
_SPARE_ROWS = 8  # of the embedding, as the published models have
CHATML = (
    "{{% for message in messages %}}<|im_start|>{{{{ message['role'] }}}}\n"
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}"
    "{{% else %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}<|im_end|>\n{{% endfor %}}"
    "{{% if add_generation_prompt %}}<|im_start|>assistant\n{{% endif %}}"
)


def byte_tokenizer(special: Sequence[str], eos: str, pad: str, **named: str) -> Tokenizer:
    """A tokenizer of bytes with a family's special tokens, of which some have names."""
    alphabet = sorted(tk.pre_tokenizers.ByteLevel.alphabet())
    # Two line breaks are one token, as in most vocabularies: what is cut must be cut together.
    line = tk.pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("\n")[0][0]
    vocabulary = {symbol: i for i, symbol in enumerate([*alphabet, line * 2, line * 3])}
    backend = tk.Tokenizer(tk.models.BPE(vocab=vocabulary, merges=[(line, line), (line * 2, line)]))
    backend.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tk.decoders.ByteLevel()
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=eos,
        pad_token=pad,
        padding_side="left",
        model_max_length=2048,
        extra_special_tokens=named,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer


def text_config(tokenizer: Tokenizer, **changes: Setting) -> dict[str, Setting]:
    """What the language models have in common."""
    return {
        "vocab_size": len(tokenizer) + _SPARE_ROWS,
        "hidden_size": HIDDEN,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": HEAD,
        "max_position_embeddings": 2048,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **changes,
    }


def rope_parameters(**changes: Setting) -> dict[str, Setting]:
    """Rotary embeddings without scaling."""
    return {"rope_type": "default", "rope_theta": 10000.0, **changes}
