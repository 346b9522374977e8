"""curate.duplicates.stills: clips with one end card or title share it and are no parts; a calm scene is none."""

import cv2
import numpy as np
import pytest

from plusmv.curate.duplicates.alignment import compare, is_sure
from plusmv.curate.duplicates.fingerprint import fingerprint_video
from plusmv.curate.duplicates.limits import SHORTEST_S
from plusmv.db.models import EdgeKind
from tests.moving_scenes import FPS, HEIGHT, WIDTH, Frames, scene, write


def card() -> np.ndarray:
    """A name and a sign before a soft ground."""
    ground = np.random.default_rng(9).integers(60, 160, (3, 4, 3), np.uint8)
    picture = cv2.resize(ground, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    cv2.putText(picture, "@somebody", (10, 70), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2, cv2.LINE_AA)
    cv2.circle(picture, (80, 30), 16, (240, 40, 90), -1, cv2.LINE_AA)
    return picture


def still(seconds: float) -> Frames:
    return [card()] * round(seconds * FPS)


def compared(tmp_path, first: Frames, second: Frames):
    made = (write(tmp_path / f"{n}.mp4", one, crf=23 + 7 * n) for n, one in enumerate((first, second)))
    return compare(*map(fingerprint_video, made))


def test_clips_with_one_end_card_share_it_and_neither_is_part_of_the_other(tmp_path):
    found = compared(tmp_path, scene(1, 1, 3.0) + still(2.0), scene(2, 2, 4.0) + still(2.0))
    assert found.kind == EdgeKind.SHARED and not is_sure(found)
    assert found.overlap_s == pytest.approx(2.0, abs=0.3) and found.offset_s == pytest.approx(1.0, abs=0.13)


@pytest.mark.parametrize("where", ["start", "middle"])
def test_the_shortest_still_that_is_promised_is_found(tmp_path, where):
    before = {"start": ([], []), "middle": (scene(3, 3, 1.7), scene(4, 4, 2.3))}[where]
    first, second = (start + still(SHORTEST_S) + scene(n, n, 3.0) for n, start in enumerate(before, 1))
    assert compared(tmp_path, first, second).kind == EdgeKind.SHARED


def test_a_still_that_fades_in_is_found_turned_too(tmp_path):
    ends = scene(2, 2, 3.0)
    fade = [cv2.addWeighted(ends[-1], 1 - share, card(), share, 0) for share in np.linspace(0, 1, 12)]
    found = compared(tmp_path, scene(1, 1, 3.0) + still(2.0), [np.rot90(f, 2) for f in ends + fade + still(2.0)])
    assert (found.kind, found.turn, found.mirror) == (EdgeKind.SHARED, 180, False)


def test_a_camera_at_rest_shares_nothing_with_another_moment_of_its_scene(tmp_path):
    """The same scenery stands still for two seconds in both, and no cut sets that off from the rest."""
    one, other = scene(1, 1, 3.0), scene(1, 5, 3.0)
    empty = [scene(1, 1, 0.04)[0]] * 50
    found = compared(tmp_path, one + empty, other + empty)
    assert found is None or found.kind == EdgeKind.SAME_SCENE


def test_other_cards_of_one_layout_are_not_shared(tmp_path):
    other = card()
    other[50:80] = other[50:80, ::-1]
    other[:20, :60] = 255
    found = compared(tmp_path, scene(1, 1, 3.0) + still(2.0), scene(2, 2, 3.0) + [other] * 50)
    assert found is None or found.kind == EdgeKind.SAME_SCENE
