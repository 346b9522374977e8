"""duplicates.detect: the catalog's side. Same edges and groups whatever the order, the number of runs or a kill."""

import itertools
import random
import shutil

import pytest
from sqlalchemy import func, select

from plusmv.core.workspace import Workspace, sha256_of
from plusmv.curate.duplicates.detect import (
    clips_to_compare,
    clips_to_fingerprint,
    compare_new,
    find_duplicates,
    fingerprint_new,
)
from plusmv.curate.duplicates.fingerprint import VERSION, fingerprint_video
from plusmv.db.models import Clip, DuplicateEdge, FileState, Post
from plusmv.db.models import Fingerprint as FingerprintRow
from plusmv.db.session import open_catalog
from tests.moving_scenes import FPS, edited, scene, write

pytestmark = pytest.mark.postgres

COPIES = ("re-encoded", "mirrored", "trimmed")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """{name: path}: two originals, three copies of each, a part of the first and two clips that are like neither."""
    folder, made = tmp_path_factory.mktemp("videos"), {}
    for name, seed in (("one", 1), ("two", 2)):
        frames = scene(seed, seed, 4.0)
        made[name] = write(folder / f"{name}.mp4", frames)
        for edit in COPIES:
            made[f"{name} {edit}"] = edited(folder / f"{name} {edit}.mp4", frames, edit)
    made["part"] = write(folder / "part.mp4", scene(1, 1, 4.0)[30:75])
    made["same place"] = write(folder / "place.mp4", scene(1, 77, 4.0))
    made["black"] = write(folder / "black.mp4", [frames[0] * 0] * 50)
    return made


@pytest.fixture(scope="module")
def fingerprints(videos):
    """{name: bytes}, so that only the test of the workers pays for decoding."""
    return {name: fingerprint_video(path).to_bytes() for name, path in videos.items()}


@pytest.fixture(scope="module")
def real(shared):
    """({name: path}, {name: bytes}) of real clips: two known pairs, and pairs that are alike and no copies."""
    names = ("mmaction2_demo.mp4", "mmaction2_demo_spatiotemporal.mp4", "v_SoccerJuggling_g23_c01.avi",
             "v_SoccerJuggling_g24_c01.avi", "tennistracking_input3.mp4", "tennistracking_input4.mp4",
             "decord_video_0.mov", "decord_video_180.mov", "mmaction2_rawvideo_part0.mp4", "mmaction2_tests_test.mp4",
             )  # fmt: skip
    clips = {name: shared / "clips" / name for name in names}
    return clips, {name: fingerprint_video(path).to_bytes() for name, path in clips.items()}


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def add(catalog, workspace, videos, names, fingerprints=None):
    """Put videos into the catalog as folder posts of their names, with their fingerprints where given."""
    for name in names:
        sha256 = sha256_of(videos[name])
        media = workspace.media(sha256, ".mp4")
        media.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(videos[name], media)
        with catalog.writing() as session:
            clip = Clip(sha256=sha256, suffix=".mp4", bytes=media.stat().st_size, duration=4.0, width=160, height=120,
                        state=FileState.DONE)  # fmt: skip
            clip.posts = [Post(platform="folder", platform_id=name)]
            session.add(clip)
            session.flush()
            if fingerprints:
                session.add(FingerprintRow(
                    clip_id=clip.id, version=VERSION, state=FileState.DONE, arrays=fingerprints[name]
                ))  # fmt: skip


def outcome(catalog, workspace):
    """Pairs and groups, to be compared with those of another catalog."""
    found = find_duplicates(catalog, workspace, workers=1)
    return found["pairs"], found["groups"]


def kinds(result):
    return {frozenset(side["posts"][0] for side in (pair["a"], pair["b"])): pair["kind"] for pair in result["pairs"]}


def test_copies_are_found_and_grouped_and_nothing_else_is(catalog, workspace, videos, fingerprints):
    add(catalog, workspace, videos, videos, fingerprints)
    result = find_duplicates(catalog, workspace)
    found = kinds(result)
    for name in ("one", "two"):
        family = [name, *(f"{name} {edit}" for edit in COPIES)]
        for pair in itertools.combinations(family, 2):
            assert found.pop(frozenset(pair)) == "copy"
    assert found.pop(frozenset(("one", "part"))) == "part"
    assert not any("black" in pair for pair in found)
    assert {kind for pair, kind in found.items() if "same place" in pair} <= {"same-scene"}
    assert {kind for pair, kind in found.items() if any(name.startswith("two") for name in pair)} <= {"same-scene"}
    posts = {sha256_of(path): name for name, path in videos.items()}
    assert sorted(sorted(posts[sha256] for sha256 in group) for group in result["groups"]) == [
        sorted([name, *(f"{name} {edit}" for edit in COPIES)]) for name in ("one", "two")
    ]


def test_a_parts_pair_says_what_lies_in_what(catalog, workspace, videos, fingerprints):
    add(catalog, workspace, videos, ["one", "part"], fingerprints)
    pair = find_duplicates(catalog, workspace)["pairs"][0]
    assert (pair["a"]["posts"], pair["b"]["posts"]) == (["part"], ["one"])
    assert pair["offset_s"] == pytest.approx(30 / FPS, abs=0.13)


def test_posts_of_one_content_are_listed_as_exact(catalog, workspace, videos, fingerprints):
    add(catalog, workspace, videos, ["one"], fingerprints)
    with catalog.writing() as session:
        clip = session.scalar(select(Clip))
        clip.posts.append(Post(platform="folder", platform_id="again"))
    result = find_duplicates(catalog, workspace)
    sha256 = sha256_of(videos["one"])
    assert [(p["a"], p["b"], p["kind"]) for p in result["pairs"]] == [
        ({"sha256": sha256, "posts": ["again"]}, {"sha256": sha256, "posts": ["one"]}, "exact")
    ]
    assert result["clips"] == 1 and result["groups"] == []


def test_the_order_of_the_clips_does_not_matter(catalog, tmp_path, videos, fingerprints):
    names, first = list(videos), Workspace(tmp_path / "first")
    add(catalog, first, videos, names, fingerprints)
    random.Random(3).shuffle(names)
    second = Workspace(tmp_path / "second")
    other = open_catalog(second)
    add(other, second, videos, names, fingerprints)
    assert outcome(catalog, first) == outcome(other, second)
    other.close()


def test_some_now_and_some_later_is_the_same_as_all_at_once(catalog, tmp_path, workspace, videos, fingerprints):
    names = list(videos)
    for some in (names[::3], names[1::3], names[2::3]):
        add(catalog, workspace, videos, some, fingerprints)
        outcome(catalog, workspace)
    at_once = open_catalog(Workspace(tmp_path / "at once"))
    add(at_once, workspace, videos, names, fingerprints)
    assert outcome(catalog, workspace) == outcome(at_once, workspace)
    at_once.close()


def test_stopped_anywhere_and_run_again_gives_the_same(catalog, tmp_path, workspace, videos, fingerprints):
    add(catalog, workspace, videos, videos, fingerprints)
    while True:
        with catalog.reading() as session:
            left = clips_to_compare(session)
        if not left:
            break
        next(compare_new(catalog, workspace, left))  # one clip, and the process is gone
    stopped = outcome(catalog, workspace)
    with catalog.writing() as session:  # as if every mark had been lost, but not the edges
        session.query(FingerprintRow).update({"compared": False})
    edges = select(func.count()).select_from(DuplicateEdge)
    with catalog.reading() as session:
        before = session.scalar(edges)
    assert outcome(catalog, workspace) == stopped
    with catalog.reading() as session:
        assert session.scalar(edges) == before > 0


def test_workers_fingerprint_once_and_failures_say_why(catalog, workspace, videos):
    add(catalog, workspace, videos, ["one", "one mirrored", "two"])
    lost = workspace.media(sha256_of(videos["two"]), ".mp4")
    lost.unlink()
    watched = []

    def watch(outcomes, total, description):
        watched.append((total, description))
        return outcomes

    result = find_duplicates(catalog, workspace, workers=1, watch=watch)
    assert watched == [(3, "fingerprinting"), (2, "comparing")]
    assert [result[name] for name in ("clips", "fingerprinted", "skipped", "failed")] == [3, 2, 0, 1]
    assert result["failures"][0]["posts"] == ["two"] and result["failures"][0]["reason"]
    assert kinds(result) == {frozenset(("one", "one mirrored")): "copy"}

    again = find_duplicates(catalog, workspace, workers=1)
    assert [again[name] for name in ("clips", "fingerprinted", "skipped", "failed")] == [3, 0, 2, 1]
    shutil.copy(videos["two"], lost)
    healed = find_duplicates(catalog, workspace, workers=1, retry_failed=True)
    assert [healed[name] for name in ("clips", "fingerprinted", "skipped", "failed")] == [3, 1, 2, 0]
    assert healed["pairs"] == result["pairs"]


def test_a_fingerprint_is_kept_as_soon_as_it_is_made(catalog, workspace, videos):
    add(catalog, workspace, videos, ["one", "two"])
    with catalog.reading() as session:
        tasks = clips_to_fingerprint(session, workspace)
    stopped = fingerprint_new(catalog, tasks, workers=1)
    done = next(stopped)
    stopped.close()
    with catalog.reading() as session:
        assert clips_to_fingerprint(session, workspace) == [task for task in tasks if task != done.task]


def test_a_file_that_is_not_what_was_downloaded_is_said(catalog, workspace, videos):
    add(catalog, workspace, videos, ["one", "two"])
    shutil.copy(videos["two mirrored"], workspace.media(sha256_of(videos["two"]), ".mp4"))
    result = find_duplicates(catalog, workspace, workers=1)
    assert [result[name] for name in ("clips", "fingerprinted", "failed")] == [2, 1, 1]
    assert "not what was downloaded" in result["failures"][0]["reason"]


def test_a_clip_that_is_fingerprinted_later_is_compared_with_all(catalog, workspace, videos):
    """Its row is of before the others', its fingerprint of after: the array must not take it for compared."""
    add(catalog, workspace, videos, ["one", "one mirrored"])
    lost = workspace.media(sha256_of(videos["one"]), ".mp4")
    lost.rename(lost.with_suffix(".away"))
    assert find_duplicates(catalog, workspace, workers=1)["pairs"] == []
    lost.with_suffix(".away").rename(lost)
    said = []
    again = find_duplicates(catalog, workspace, workers=1, retry_failed=True, say=said.append)
    assert kinds(again) == {frozenset(("one", "one mirrored")): "copy"} and said == []


def test_an_array_cut_short_is_made_anew_and_the_same_is_found(catalog, tmp_path, workspace, videos, fingerprints):
    names = list(videos)
    add(catalog, workspace, videos, names[:-3], fingerprints)
    find_duplicates(catalog, workspace)
    array = workspace.home / "hashes.bin"
    array.write_bytes(array.read_bytes()[:-1000])
    add(catalog, workspace, videos, names[-3:], fingerprints)
    said = []
    found = find_duplicates(catalog, workspace, say=said.append)
    assert len(said) == 1 and "cut short" in said[0]
    at_once = open_catalog(Workspace(tmp_path / "at once"))
    add(at_once, workspace, videos, names, fingerprints)
    other = find_duplicates(at_once, Workspace(tmp_path / "at once"))
    assert (found["pairs"], found["groups"]) == (other["pairs"], other["groups"])
    at_once.close()


def test_black_and_stills_are_told_apart_and_match_nothing(catalog, workspace, videos, fingerprints):
    add(catalog, workspace, videos, ["one", "black"], fingerprints)
    result = find_duplicates(catalog, workspace)
    assert result["unmatched"] == {"static": [], "featureless": [sha256_of(videos["black"])]}
    assert result["pairs"] == []


def test_the_known_pairs_of_the_real_clips_and_no_others(catalog, workspace, real):
    clips, made = real
    add(catalog, workspace, clips, clips, made)
    assert kinds(find_duplicates(catalog, workspace)) == {
        frozenset(("mmaction2_demo.mp4", "mmaction2_demo_spatiotemporal.mp4")): "copy",
        frozenset(("mmaction2_rawvideo_part0.mp4", "mmaction2_tests_test.mp4")): "part",
    }
