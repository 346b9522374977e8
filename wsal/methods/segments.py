"""Boundaries by one threshold a class, as several papers detect: rows for Reading.segments."""

from collections.abc import Callable

from torch import Tensor

from plusmv.wsal.proposals import components


def segments_above(
    signal: Tensor, levels: Tensor, pool: Callable[[Tensor], Tensor], added: Tensor | None = None, shortest: int = 1
) -> Tensor:
    """(N, 4) class index, start, end, score: runs of a signal (T, C+1) above each class's level (C+1,).

    pool: of a run's values (L,) to its score, to which `added` (C+1,) of its class is added. Runs of fewer than
    `shortest` snippets are left out, and so is class 0, the background.
    """
    values, rows = signal.cpu(), []
    for index in range(1, values.shape[1]):
        runs = components(values[:, index].numpy(), levels[index : index + 1].cpu().numpy())
        for start, end in runs[runs[:, 1] - runs[:, 0] >= shortest].tolist():
            score = pool(values[start:end, index]).item() + (0 if added is None else added[index].item())
            rows.append([index, start, end, score])
    return signal.new_tensor(rows).reshape(-1, 4)
