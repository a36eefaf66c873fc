"""A batch that cannot fit is refused with the batch that does; measuring changes nothing."""

import pytest
import torch
from torch import nn

from abaw_submit.errors import UserError
from abaw_submit.training.memory import free_bytes, item_bytes, refuse_batch


def test_bytes_of_an_item_are_what_the_layers_keep():
    model = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
    data = torch.randn(8, 100)
    # the input (100), the rectified (50) and nothing of the last layer's output
    found = item_bytes(lambda n: model(data[:n].clone()).sum(), model)
    assert found == 4 * (100 + 50)


def test_measuring_leaves_random_numbers_statistics_and_mode_alone():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).eval()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    statistics = model[1].running_mean.clone()
    item_bytes(lambda n: model(torch.randn(n, 4)).sum(), model)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(model[1].running_mean, statistics)
    assert not model.training


def test_the_message_has_the_batch_that_fits():
    model = nn.Linear(10, 10)
    mib, gib = 2**20, 2**30
    refuse_batch(4096, 1, mib, model, 5 * gib)
    refuse_batch(4096, 1, 10 * mib, model, None)
    with pytest.raises(
        UserError, match=r"--batch 4096 needs at least 40\.0 GiB .*10\.0 MiB an item.*\n.*--accumulate 12"
    ):
        refuse_batch(4096, 1, 10 * mib, model, 5 * gib)
    refuse_batch(4096, 8, 10 * mib, model, 6 * gib)
    with pytest.raises(UserError, match=r"on each device.*\n.*--accumulate 2"):
        refuse_batch(4096, 8, 10 * mib, model, 4 * gib)
    with pytest.raises(UserError, match="smaller model"):
        refuse_batch(16, 1, 10 * gib, model, 5 * gib)


def test_free_memory_is_known_here():
    free = free_bytes(torch.device("cpu"))
    assert free is not None
    assert free > 2**20
    assert free_bytes(torch.device("meta")) is None
