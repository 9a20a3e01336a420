"""Several policies' log-probabilities of one global batch, in one pass over its micro-batches."""

import pytest
import torch

from tests.training.learner import test_learner as learning
from training.model import encoding
from training.model.forward import ForwardPass, ForwardSettings, Scoring
from training.runtime import device


@pytest.fixture
def decoded(monkeypatch):
    """The images that were decoded, one after the other."""
    seen, decode = [], encoding.decode_image

    def watched(image):
        seen.append(image["bytes"])
        return decode(image)

    monkeypatch.setattr(encoding, "decode_image", watched)
    return seen


def test_scorings_share_the_images_and_change_nothing(
    tiny_model_folder, images, decoded, monkeypatch
):
    device.start(1)
    policy, other = (learning.new_policy(tiny_model_folder) for _ in range(2))
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.mul_(1.1)
    learner = learning.new_learner(policy, budget=100)
    batch = learning.new_batch(policy, images)
    plain, warm = ForwardSettings(), ForwardSettings(temperature=2.0)
    reference, around = ForwardPass(other).eval(), []

    class Noted:
        def __enter__(self):
            around.append("in")

        def __exit__(self, *_):
            around.append("out")

    decoded.clear()
    alone = learner.log_probs(batch, plain)
    theirs = learner.log_probs(batch, warm, reference)
    assert not decoded  # they were when their prompts' tokens were made
    # Where memory holds none, each pass over the micro-batches reads them, but not each scoring.
    monkeypatch.setattr(policy.memory.pixels, "_capacity", 0)
    policy.memory.pixels.clear()
    learner.log_probs(batch, plain)
    num_decoded = len(decoded)
    decoded.clear()
    both = learner.scores(batch, [Scoring(plain), Scoring(warm, reference, Noted)])
    assert len(decoded) == num_decoded > 1
    num_batches = len(learner._turns(batch))
    assert num_batches > 1 and around == ["in", "out"] * num_batches
    for found, expected in zip(both, (alone, theirs), strict=True):
        assert set(found) == set(expected) == set(range(len(batch)))
        for row, scored in found.items():
            assert torch.equal(scored.log_probs, expected[row].log_probs)
    assert any(not torch.equal(both[0][row].log_probs, both[1][row].log_probs) for row in both[0])
