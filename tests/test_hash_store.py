"""curate.duplicates.hash_store: exactly the catalog's hashes, appended, rebuilt where they are not, and said."""

import numpy as np
import pytest

from plusmv.curate.duplicates import hash_store
from plusmv.curate.duplicates.fingerprint import Fingerprint
from plusmv.curate.duplicates.hash_store import EVERY, POINTS, mapped, open_array


def fingerprint(seed, pictures=5):
    draws = np.random.default_rng(seed)
    counts = draws.integers(0, 60, pictures).astype(np.uint16)
    return Fingerprint(
        draws.integers(0, 256, (pictures, 32), np.uint8), np.array([1] * (pictures - 1) + [0], np.uint8), counts,
        np.zeros((counts.sum(), 2), np.uint16), draws.integers(1, 2**64, counts.sum(), np.uint64),
        np.array([200, 160], np.uint16), np.float32([0, 0, 1, 1]), np.zeros((8, 24, 24), np.uint8),
        np.zeros(32, np.uint8),
    )  # fmt: skip


def rows(numbers):
    return [(number, f"{number:064x}", 100 + number) for number in numbers]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hashes.bin"


def opened(path, numbers, said=None):
    return open_array(path, lambda: rows(numbers), fingerprint, (said if said is not None else []).append)


def contents(array):
    return array.words[16:].tolist()


def test_a_record_holds_a_clips_hashes_and_nothing_of_flat_pictures(path):
    array = opened(path, [3])
    (start,) = array.starts()
    made = fingerprint(3)
    assert array.words[start] == 103
    pdq = array.pdq_of(start).view(np.uint8)
    assert np.array_equal(pdq[:-1], made.hashes[:-1]) and not pdq[-1].any()
    points = array.points_of(start).reshape(-1, POINTS)
    assert len(points) == -(-5 // EVERY)
    first = made.counts[:2].sum()
    count = min(int(made.counts[2]), POINTS)
    assert points[1, :count].tolist() == made.words[first : first + count].tolist() and not points[1, count:].any()
    assert not points[2].any()  # the picture that is not usable


def test_what_is_new_is_appended_and_nothing_is_read_again(path):
    opened(path, range(1, 4))
    loaded = []
    said = []
    array = open_array(path, lambda: rows(range(1, 6)), lambda row: loaded.append(row) or fingerprint(row), said.append)
    assert loaded == [4, 5] and said == []
    assert contents(array) == contents(opened(path.with_name("other.bin"), range(1, 6)))


@pytest.mark.parametrize("left", [-1, -8 * 30, 100, 0])
def test_cut_short_it_is_made_anew_and_said(path, left):
    whole = contents(opened(path, range(1, 6)))
    content = path.read_bytes()
    path.write_bytes(content[:left])
    said = []
    assert contents(opened(path, range(1, 6), said)) == whole
    assert len(said) == 1 and "rebuilt" in said[0] and "cut short" in said[0]


@pytest.mark.parametrize("catalog", [[1, 2, 4, 5], [2, 3], [], [1, 2, 6, 7, 8]])
def test_another_or_older_catalogs_array_is_made_anew_and_said(path, catalog):
    """A clip was taken down, or the catalog is another one."""
    opened(path, range(1, 6))
    said = []
    array = opened(path, catalog, said)
    assert array.words[array.starts()].tolist() == [100 + number for number in catalog] if catalog else not array.parts
    assert len(said) == 1 and "older" in said[0]


def test_what_a_killed_process_had_begun_to_append_is_dropped(path):
    opened(path, range(1, 4))
    with open(path, "ab") as file:
        file.write(b"\1" * 999)
    said = []
    array = opened(path, range(1, 5), said)
    assert said == [] and contents(array) == contents(opened(path.with_name("other.bin"), range(1, 5)))


def test_a_missing_array_is_made_without_a_word_and_another_versions_is_said(path):
    said = []
    opened(path, [1], said)
    assert said == []
    content = bytearray(path.read_bytes())
    content[8] ^= 1
    path.write_bytes(content)
    opened(path, [1], said)
    assert "another version" in said[0]


def test_tables_on_disk_are_used_and_damaged_ones_are_not(path, monkeypatch):
    monkeypatch.setattr(hash_store, "LEAST_TABLED", 0)
    opened(path, range(1, 20))
    array = opened(path, range(1, 21))
    assert len(array.parts) == 2  # those on disk, and of the new record in memory
    assert array.starts().tolist() == opened(path.with_name("other.bin"), range(1, 21)).starts().tolist()
    tables = path.with_suffix(".tables")
    tables.write_bytes(tables.read_bytes()[:-4])
    assert len(mapped(path).parts) == 1
