"""Suspicion scores follow the decisions: an action is ranked again once enough has been decided of it."""

import threading
from collections import Counter
from collections.abc import Iterable

from plusmv.curate.ranking import rank as ranking
from plusmv.labeler_ui.connection import Connection

RERANK_AFTER = 20  # decisions of an action

_decided: Counter[int] = Counter()  # decisions of an action since it was last ranked
_ranking = threading.Lock()


def count_decisions(connection: Connection, action_ids: Iterable[int]) -> None:
    """Count these decisions, and rank their actions in the background where it is time."""
    for action_id, count in Counter(action_ids).items():
        _decided[action_id] += count
        if _decided[action_id] >= RERANK_AFTER:
            _decided[action_id] = 0
            threading.Thread(target=_rerank, args=(connection, action_id), daemon=True).start()


def _rerank(connection: Connection, action_id: int) -> None:
    with _ranking:
        ranking.rerank(connection.catalog, action_id)
