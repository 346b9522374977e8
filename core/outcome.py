"""How the items of a command ended: the counts that its `--json` carries and its exit code is decided by."""

from typing import TypedDict


class Ended(TypedDict):
    """Everything that a command was asked for, by how it ended."""

    done: int
    skipped: int  # done before, or not wanted
    failed: int  # or lacking, or left out


def falls_short(ended: Ended, strict: bool = False) -> bool:
    """Whether nothing, or less than half, of what was asked is achieved; strict: or anything failed."""
    achieved, asked = ended["done"] + ended["skipped"], sum((ended["done"], ended["skipped"], ended["failed"]))
    return not achieved or 2 * achieved < asked or (strict and ended["failed"] > 0)
