import io
from dataclasses import replace

import pytest
import torch
from PIL import Image

from contracts.errors import DataError
from training.model.encoding import (
    TokenSequence,
    collate,
    conversation,
    encode_prompt,
    encode_response,
    messages,
)
from training.model.forward import ForwardPass, ForwardSettings
from training.model.nucleus import Truncation
from training.rollout.protocol import Prompt


def decoded(image):
    return Image.open(io.BytesIO(image["bytes"])).convert("RGB")


@pytest.mark.parametrize("num_images", [0, 1, 3])
def test_a_prompt_is_what_the_processor_makes_of_it(tiny_policy, images, num_images):
    prompt = Prompt("Add the numbers.", images[:num_images])
    content = [{"type": "image"}] * num_images + [{"type": "text", "text": prompt.question}]
    text = tiny_policy.processor.apply_chat_template(
        [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": content},
        ],
        add_generation_prompt=True,
    )
    expected = tiny_policy.processor(
        text=[text], images=[decoded(image) for image in prompt.images] or None
    )
    assert encode_prompt(tiny_policy, prompt).token_ids.tolist() == expected["input_ids"][0]


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("See <image> and <image>.", ["See ", None, " and ", None, "."]),
        ("<image>, then <image>", [None, ", then ", None]),
        ("See <image>.", [None, None, "See <image>."]),  # not one for each: words like others
    ],
)
def test_images_stand_where_the_question_has_their_marks(tiny_policy, images, question, parts):
    content = [
        {"type": "image"} if part is None else {"type": "text", "text": part} for part in parts
    ]
    shown = Prompt(question, images[:2])
    assert messages(tiny_policy, shown, [None, None])[1]["content"] == content
    text = conversation(tiny_policy, shown)
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    assert "".join(mark if part is None else part for part in parts) in text
    (tokens, pixels) = encode_prompt(tiny_policy, shown).token_ids, shown.images
    first = encode_prompt(tiny_policy, Prompt(question.replace("<image>", ""), pixels)).token_ids
    image = tiny_policy.processor.image_token_id
    assert int((tokens == image).sum()) == int((first == image).sum()) > 0


def test_a_placeholder_in_a_question_is_refused(tiny_policy):
    with pytest.raises(DataError, match="1 placeholder"):
        encode_prompt(tiny_policy, Prompt("What is <|image_pad|>?"))


def test_a_target_ends_with_the_end_token(tiny_policy):
    ids = encode_response(tiny_policy, "7").tolist()
    assert tiny_policy.tokenizer.decode(ids) == "7<|im_end|>"


def test_a_shared_prompts_image_is_decoded_once(tiny_policy, images):
    prompt = encode_prompt(tiny_policy, Prompt("One.", images[:1]))
    other = encode_prompt(tiny_policy, Prompt("Two.", images[1:3]))
    response = encode_response(tiny_policy, "7")
    order = [prompt, other, prompt, prompt]
    batch = collate(tiny_policy, [TokenSequence(each, response) for each in order])
    assert len(batch.images.pixels["image_grid_thw"]) == 3
    assert batch.images.rows == [0, 1, 0, 0]
    assert batch.images.image_rows == [0, 1, 2, 0, 0]


def test_scores_do_not_depend_on_the_company_in_a_micro_batch(tiny_policy, images):
    prompts = [
        Prompt("Short.", images[:2]),
        Prompt("No image, and a question that is a good deal longer than the others."),
        Prompt("One image.", images[3:4]),
    ]
    sequences = []
    for prompt in prompts:
        encoded = encode_prompt(tiny_policy, prompt)
        # The same prompt twice: once as a shared object, once as an equal copy.
        copy = replace(encoded, token_ids=encoded.token_ids.clone())
        sequences += [
            TokenSequence(encoded, encode_response(tiny_policy, "a long answer, <think>")),
            TokenSequence(encoded, encode_response(tiny_policy, "7")),
            TokenSequence(copy, encode_response(tiny_policy, "eight")),
        ]
    forward_pass = ForwardPass(tiny_policy)
    settings = ForwardSettings(
        0.8, Truncation(top_p=0.9), with_entropy=True, bans_placeholders=True
    )
    together = forward_pass(sequences, settings)
    for row, sequence in enumerate(sequences):
        alone = forward_pass([sequence], settings)
        length = len(sequence.response_ids)
        assert together.mask[row].sum() == length
        for whole, single in zip(together, alone, strict=True):
            torch.testing.assert_close(
                whole[row, :length].float(), single[0].float(), atol=2e-5, rtol=0
            )
