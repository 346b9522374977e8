"""Which device `--device` means; nothing here needs a GPU."""

import pytest
import torch

from plusmv.core.errors import BadInput
from plusmv.features.device import resolve_device


def test_auto_is_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["gpu", "meta", "cpu:3", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_in_one_line(name):
    with pytest.raises(BadInput) as caught:
        resolve_device(name)
    assert "\n" not in str(caught.value)
