"""Sentence embeddings by a small random encoder, against the plain formula."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from contracts.errors import ModelError
from training.curation.embedding import encoder as load

TEXTS = ["hens and cows", "a train", "", "hens and cows and a train and hens", "cows"] * 30


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "hens", "and", "cows", "a", "train"]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": 32}
    config = BertConfig(vocab_size=len(words), num_hidden_layers=2, num_attention_heads=2, **sizes)
    BertModel(config).save_pretrained(folder)
    return folder


def test_a_text_is_the_mean_of_its_tokens_whatever_it_is_batched_with(encoder):
    found = load(encoder, max_tokens=5)(TEXTS)
    assert found.shape == (150, 16) and found.dtype == np.float32
    model = BertModel.from_pretrained(encoder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(encoder)
    for text, vector in zip(TEXTS[:5], found[:5], strict=True):
        ids = tokenizer(text)["input_ids"][:5]
        if not ids:
            assert np.abs(vector).max() == 0.0
            continue
        with torch.no_grad():
            mean = model(torch.tensor([ids])).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=1e-5)
    np.testing.assert_allclose(found[5:10], found[:5], atol=1e-6)


def test_texts_are_cut_where_the_recipe_says(encoder):
    long, short = load(encoder, max_tokens=2)(["hens and cows", "hens and"])
    np.testing.assert_allclose(long, short, atol=1e-6)


def test_what_is_no_encoder_is_refused(encoder, tmp_path):
    with pytest.raises(ModelError, match="embedding model cannot be used") as refused:
        load(tmp_path, max_tokens=8)
    assert "curation.topics.embedding" in str(refused.value)
