"""hamming_search: what a flat scan with the same two conditions finds, each pair once, by numpy and by faiss."""

import numpy as np
import pytest

from plusmv.core.errors import Missing
from plusmv.curate.duplicates import hamming_search
from plusmv.curate.duplicates.hamming_search import Tables, search_with_faiss

BITS = {4: 60, 1: 10}


def words(width, seed):
    """(array, queries) of which many are near: copies with some bits turned, and zeros, which are no hashes."""
    draws = np.random.default_rng(seed)
    array = draws.integers(1, 2**64, (400, width), np.uint64)
    flips = (draws.random((300, 64 * width)) < 0.12).astype(np.uint8)
    near = array[draws.integers(0, 400, 300)] ^ np.packbits(flips, axis=1).view(np.uint64)
    array[::37], near[::41] = 0, 0
    return array, near


def flat_scan(array, queries, most_bits):
    differing = queries[:, None, :] ^ array[None, :, :]
    agrees = (differing.reshape(*differing.shape[:2], -1).view(np.uint16) == 0).any(-1)
    near = np.bitwise_count(differing).sum(-1) <= most_bits
    there = queries.any(1)[:, None] & array.any(1)[None, :]
    return [tuple(pair) for pair in np.argwhere(agrees & near & there).tolist()]


def pairs(hits):
    return list(zip(hits.queries.tolist(), hits.places.tolist(), strict=True))


@pytest.mark.parametrize("width", [4, 1])
def test_tables_find_what_a_flat_scan_finds(width, monkeypatch):
    array, queries = words(width, 1)
    expected = flat_scan(array, queries, BITS[width])
    assert len(expected) > 100
    tables = Tables.build(array, np.arange(len(array), dtype=np.uint32))
    assert pairs(tables.search(array, queries, BITS[width])) == expected
    monkeypatch.setattr(hamming_search, "BATCH", 7)  # in many small parts
    assert pairs(tables.search(array, queries, BITS[width])) == expected


def test_places_are_those_given():
    array, queries = words(1, 2)
    rows = np.arange(100, 300, dtype=np.uint32)
    found = Tables.build(array[rows], rows).search(array, queries, 10)
    assert pairs(found) == [pair for pair in flat_scan(array, queries, 10) if 100 <= pair[1] < 300]


def test_nothing_is_found_in_nothing():
    none = np.zeros((0, 4), np.uint64)
    tables = Tables.build(none, np.zeros(0, np.uint32))
    assert pairs(tables.search(none, none, 60)) == [] == pairs(tables.search(none, words(4, 1)[1], 60))


@pytest.mark.parametrize("width", [4, 1])
def test_faiss_finds_the_same(width):
    pytest.importorskip("faiss", reason="faiss is optional")
    array, queries = words(width, 3)
    found = search_with_faiss(array, np.arange(len(array)), queries, BITS[width])
    assert pairs(found) == flat_scan(array, queries, BITS[width])


def test_without_faiss_one_line_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(Missing, match="--engine"):
        search_with_faiss(np.zeros((1, 1), np.uint64), np.zeros(1), np.zeros((1, 1), np.uint64), 10)
