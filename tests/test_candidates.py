"""curate.duplicates.candidates: copies are nominated, whichever of two clips asks, whatever else is there."""

import numpy as np
import pytest

from plusmv.curate.duplicates.candidates import HashIndex, _elected
from plusmv.curate.duplicates.fingerprint import fingerprint_video
from plusmv.curate.duplicates.hash_store import mapped, record_of, write_array
from tests.moving_scenes import edited, scene, write

EDITS = ("re-encoded", "mirrored", "letterboxed", "trimmed", "0.4x", "faster")


@pytest.fixture(scope="module")
def prints(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("videos"), {}
    for seed in (1, 2):
        frames = scene(seed, seed, 4.0)
        made[f"{seed}"] = fingerprint_video(write(folder / "a.mp4", frames))
        made |= {f"{seed} {edit}": fingerprint_video(edited(folder / "b.mp4", frames, edit)) for edit in EDITS}
        cut = [frame[12:108, 16:144] for frame in frames]
        made[f"{seed} turned"] = fingerprint_video(write(folder / "e.mp4", [np.rot90(frame) for frame in frames]))
        made[f"{seed} cropped"] = fingerprint_video(write(folder / "c.mp4", cut))
    made["black"] = fingerprint_video(write(folder / "d.mp4", [frames[0] * 0] * 50))
    return made


def index_of(folder, prints, engine="numpy"):
    path = folder / f"{len(list(folder.iterdir()))}.bin"
    write_array(path, (record_of(number, made) for number, made in enumerate(prints.values())))
    return HashIndex(mapped(path), engine)


def nominated(index, names):
    found = index.candidates([index.hashes_of(number) for number in range(len(names))])
    return {(names[a], names[b]) for a, others in enumerate(found) for b in others}


def test_every_copy_is_nominated_and_no_other_clip(tmp_path, prints):
    names = list(prints)
    found = nominated(index_of(tmp_path, prints), names)
    for name in names:
        if name != "black" and len(name) > 1:
            assert (name, name[0]) in found
    assert {(a[0], b[0]) for a, b in found} == {("1", "1"), ("2", "2")}


def test_it_does_not_matter_who_asks_or_what_else_is_there(tmp_path, prints):
    found = nominated(index_of(tmp_path, prints), list(prints))
    assert found == {(b, a) for a, b in found}
    turned = dict(reversed(prints.items()))
    assert nominated(index_of(tmp_path, turned), list(turned)) == found
    some = {name: prints[name] for name in list(prints)[::2]}
    assert nominated(index_of(tmp_path, some), list(some)) == {pair for pair in found if set(pair) <= set(some)}


def test_a_clip_from_outside_is_asked_for_by_its_record(tmp_path, prints):
    index = index_of(tmp_path, {name: made for name, made in prints.items() if name != "1"})
    asked = index.of_record(record_of(-1, prints["1"]))
    names = [name for name in prints if name != "1"]
    assert {names[number] for number in index.candidates([asked])[0]} == {n for n in names if n.startswith("1")}


def test_faiss_nominates_the_same(tmp_path, prints):
    pytest.importorskip("faiss", reason="faiss is optional")
    names = list(prints)
    assert nominated(index_of(tmp_path, prints, "faiss"), names) == nominated(index_of(tmp_path, prints), names)


@pytest.mark.parametrize("sign", [1, -1])
def test_three_points_of_both_clips_at_one_offset_elect_a_pair(sign):
    def elected(offsets, own, other):
        return len(_elected(np.zeros(len(own), int), sign * np.array(offsets), np.array(own), np.array(other)))

    assert elected([0, 0, 0], [1, 2, 3], [4, 5, 6]) == 1
    assert elected([0, 8, 4], [1, 2, 3], [4, 5, 6]) == 1  # within eight seconds
    assert elected([-4, 0, 5], [1, 2, 3], [4, 5, 6]) == 0
    assert elected([0, 0, 0], [1, 1, 3], [4, 5, 6]) == 0  # two different ones only
    assert elected([0, 0, 0], [1, 2, 3], [4, 4, 6]) == 0


def test_an_empty_array_nominates_nothing(tmp_path, prints):
    index = index_of(tmp_path, {})
    assert index.candidates([index.of_record(record_of(-1, prints["1"]))]) == [set()]
    assert index.hashes_of(1) is None
