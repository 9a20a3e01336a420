"""A model that waits in host memory computes what it would have computed."""

import pytest
import torch
from torch import nn

from training.model.in_host import InHost


def new_model():
    """Tied weights and a buffer, as the policies have."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3)).eval()
    model[1].weight = model[0].weight
    return model


def test_it_computes_the_same_and_keeps_one_copy_on_a_host():
    model, inputs = new_model(), torch.randn(4, 3)
    expected = model(inputs)
    places = [tensor.data_ptr() for tensor in model.state_dict().values()]
    in_host = InHost(model)
    for _ in range(2):
        with in_host.at_work():
            assert torch.equal(model(inputs), expected)
    assert [tensor.data_ptr() for tensor in model.state_dict().values()] == places


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_elsewhere_while_it_works_alone(fails):
    """Another number format stands for a GPU: a tensor that was moved is not the host's."""
    model = new_model()
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    in_host = InHost(model)
    in_host._device = torch.float64

    def places():
        return {tensor.dtype for tensor in (*model.parameters(), *model.buffers())}

    def work():
        with in_host.at_work():
            assert places() == {torch.float64}
            assert model[1].weight is model[0].weight
            if fails:
                raise ValueError

    if fails:
        with pytest.raises(ValueError):
            work()
    else:
        work()
    assert places() == {torch.float32, torch.int64}
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
