"""curate.duplicates.pdq: agrees with the reference to the bit, and does what a perceptual hash is for."""

import cv2
import numpy as np
import pytest

from plusmv.curate.duplicates.pdq import hamming, pdq

REFERENCE = {  # (H, W) of drawn_picture: (hash, quality) as pdqhash 0.2.8 gives them
    (64, 64): ("55ab2a5505abaa5505abaa5555abaa5556abb555aaaa554aaa965524ffd90037", 100),
    (120, 160): ("d5a7ab5555a3ab5154a7ab5554a2ab5556aa555aaa965524ae4c5198fe3100ef", 100),
    (301, 128): ("3decfbd4c05cca54dd5cf754140cb1d4451cffd4154c7f54102cd554fffc0003", 60),
}


def drawn_picture(height: int, width: int) -> np.ndarray:
    """A picture (H, W) uint8 that a formula draws, so that its hash can be written down."""
    y, x = np.mgrid[0:height, 0:width] / height
    return np.round(127 + 60 * np.sin(9 * x + 4 * y) + 60 * np.cos(23 * x * y - 5 * y)).astype(np.uint8)


def textures(count: int, height: int = 120, width: int = 160) -> np.ndarray:
    """(count, H, W) uint8 pictures of soft blots, all different."""
    blots = np.random.default_rng(0).integers(0, 256, (count, 9, 12), np.uint8)
    return np.stack([cv2.resize(blot, (width, height), interpolation=cv2.INTER_CUBIC) for blot in blots])


@pytest.mark.parametrize("size", REFERENCE)
def test_hash_and_quality_are_the_references(size):
    hashes, quality = pdq(drawn_picture(*size)[None])
    expected_hash, expected_quality = REFERENCE[size]
    reference = np.frombuffer(bytes.fromhex(expected_hash), np.uint8)[None]
    assert hamming(hashes, reference)[0, 0] <= 2  # sums in another order may turn a bit that lies at the median
    assert quality[0] == expected_quality


@pytest.mark.parametrize("size", [(64, 64), (65, 200), (128, 227), (360, 203), (30, 40)])
def test_agrees_with_pdqhash_to_the_bit(size):
    pdqhash = pytest.importorskip("pdqhash", reason="pdqhash has no wheel for every machine; it is only compared with")
    for picture in textures(5, *size):
        bits, quality = pdqhash.compute(np.repeat(picture[..., None], 3, axis=2))
        hashes, our_quality = pdq(picture[None])
        assert (np.unpackbits(hashes[0]) != bits).sum() <= 2  # the reference sums three colours in its own order
        assert abs(int(our_quality[0]) - quality) <= 1


def test_hash_is_the_sign_of_the_cosine_transform_against_its_median():
    picture = textures(1, 64, 64)[0].astype(float)
    place, waves = np.arange(64), []
    for row in range(1, 17):
        for column in range(1, 17):
            wave = np.outer(np.cos(np.pi / 128 * row * (2 * place + 1)), np.cos(np.pi / 128 * column * (2 * place + 1)))
            waves.append((wave * picture).sum())
    expected = np.array(waves) > np.sort(waves)[127]
    bits = np.unpackbits(pdq(picture[None].astype(np.float32))[0][0])[::-1]
    assert np.array_equal(bits, expected)


def test_a_bad_jpeg_is_near_and_another_picture_far():
    pictures = textures(6)
    jpegs = np.stack([cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], 0) for p in pictures])
    distance = hamming(pdq(pictures)[0], pdq(jpegs)[0])
    assert distance.diagonal().max() <= 40
    assert distance[~np.eye(6, dtype=bool)].min() >= 80


def test_hamming_counts_bits():
    a, b = (np.random.default_rng(seed).integers(0, 256, (4 + seed, 32), np.uint8) for seed in (1, 2))
    expected = (np.unpackbits(a, axis=1)[:, None] != np.unpackbits(b, axis=1)[None]).sum(2)
    assert np.array_equal(hamming(a, b), expected)


def test_a_flat_picture_has_no_quality():
    assert pdq(np.full((1, 90, 120), 77, np.uint8))[1][0] == 0


def test_no_pictures_give_no_hashes():
    hashes, quality = pdq(np.zeros((0, 90, 120), np.uint8))
    assert hashes.shape == (0, 32) and quality.shape == (0,)
