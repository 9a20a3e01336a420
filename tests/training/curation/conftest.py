import io

import pytest
from PIL import Image

from training.answers import Verifier


def make_png(colour=0):
    buffer = io.BytesIO()
    Image.new("RGB", (28, 28), (colour, 0, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def png():
    """Makes a small PNG of one colour."""
    return make_png


@pytest.fixture(scope="session")
def make():
    """Makes a text problem that breaks no rule, apart from the changes."""

    def problem(number=0, **changes):
        row = {
            "id": f"p{number}",
            "source": "s",
            "modality": "text",
            "family": "sums",
            "template": "t",
            "level": None,
            "question": f"What is {number} + 1?",
            "images": [],
            "answer": str(number + 1),
            "solution": None,
            "reading": None,
            "pass_rate": None,
        }
        return row | changes

    return problem


@pytest.fixture(scope="session")
def make_seen(make):
    """Makes a multimodal problem that breaks no rule, apart from the changes."""

    def problem(number=0, **changes):
        images = [{"bytes": make_png(number), "path": None}]
        return make(number, modality="multimodal", images=images) | changes

    return problem


@pytest.fixture(scope="module")
def verifier():
    with Verifier() as running:
        yield running
