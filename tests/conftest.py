"""Fixtures that many test modules share: the shared real data, where it is at hand, and small real videos."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and annotations beside the checkout; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "clips" / "clips.csv").is_file():
        pytest.skip("the real clips of ../shared are not beside this checkout")
    return folder
