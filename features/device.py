"""Which device a `--device` option means."""

import torch

from plusmv.core.errors import BadInput


def resolve_device(name: str) -> torch.device:
    """auto (a GPU where there is one), cpu, cuda, cuda:N or mps. Raises BadInput for one that this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"unknown device {name!r}; use auto, cpu, cuda, cuda:1 or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise BadInput(f"unknown device {name!r}; use auto, cpu, cuda, cuda:1 or mps")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[device.type]
    if (device.index or 0) >= count:
        raise BadInput(f"this machine has no device {name}; use --device auto")
    return device
