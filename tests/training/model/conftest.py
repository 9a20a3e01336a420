import shutil

import pytest


@pytest.fixture
def model(tiny_model_folder, tmp_path):
    """A good model, to be spoilt."""
    return shutil.copytree(tiny_model_folder, tmp_path / "model")
