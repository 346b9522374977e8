"""Ranking in the catalog: rows for each signal, counts that add up, again the same, and as decisions come in."""

import csv
import hashlib

import numpy as np
import pytest
from sqlalchemy import func, select

from plusmv.core.actions import Action as ActionFacts
from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace
from plusmv.curate.ranking.rank import COMBINED, rank, rerank
from plusmv.curate.ranking.scores import standing_verdicts
from plusmv.curate.review.decisions import decide, undo
from plusmv.db.models import Action, Clip, CrawlRun, Decision, FileState, Post, PostState, Sighting, SuspicionScore
from plusmv.db.queries import save_actions
from plusmv.features.feature_files import VideoFeatures, write_features
from plusmv.features.weights import keep, last_layer, load, random_weights

WIDTH = 16
ACTIONS = (ActionFacts("GolfSwing", ("golf",)), ActionFacts("Billiards", ("billiards",)))


def fill(catalog, clips: int, features: Workspace | None = None, wrong_every: int = 2, seed: int = 0) -> dict:
    """`clips` clips of GolfSwing (every second one wrong) and as many of Billiards (all good): {action: [clip ids]}.

    Their features: a direction for each action, another for what is wrong, and noise.
    """
    draws = np.random.default_rng(seed)
    directions = {name: draws.normal(size=WIDTH) for name in ("GolfSwing", "Billiards", "wrong")}
    made: dict[str, list[int]] = {}
    with catalog.writing() as session:
        for name, action in save_actions(session, ACTIONS).items():
            run = CrawlRun(source="folder", tag=action.tags[0].tag, action_id=action.id)
            session.add(run)
            session.flush()
            for number in range(clips):
                sha256 = hashlib.sha256(f"{name}{number}".encode()).hexdigest()
                clip = Clip(sha256=sha256, suffix=".mp4", bytes=1, state=FileState.DONE)
                post = Post(platform="folder", platform_id=sha256[:9], state=PostState.DOWNLOADED, clip=clip)
                session.add(post)
                session.flush()
                session.add(Sighting(post_id=post.id, action_id=action.id, tag=run.tag, run_id=run.id))
                made.setdefault(name, []).append(clip.id)
                if features is not None:
                    kind = "wrong" if name == "GolfSwing" and number % wrong_every else name
                    rgb = np.abs(3 + directions[kind] + 0.7 * draws.normal(size=(4, WIDTH)))
                    found = VideoFeatures(sha256, {"rgb": rgb.astype(np.float32)}, 25.0, recipe="made up")
                    write_features(features.features / f"{sha256}.safetensors", found)
    return made


def scores(catalog, signal: str) -> dict[tuple[int, int], float]:
    with catalog.reading() as session:
        rows = select(SuspicionScore).where(SuspicionScore.signal == signal)
        return {(row.clip_id, row.action_id): row.score for row in session.scalars(rows)}


def action_id(catalog, name: str) -> int:
    with catalog.reading() as session:
        return session.scalar(select(Action.id).where(Action.name == name))


def judge(catalog, clip_ids, name: str, verdict: str) -> None:
    action = action_id(catalog, name)
    with catalog.writing() as session:
        for clip_id in clip_ids:
            decide(session, clip_id, verdict, "me", action)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("PLUSMV_WEIGHTS", str(tmp_path / "weights"))
    return Workspace(tmp_path / "home")


def test_every_undecided_clip_is_ranked_or_has_a_reason(catalog, workspace):
    clips = fill(catalog, 6, workspace)
    with catalog.writing() as session:
        first, second, third = (session.get(Clip, clip_id) for clip_id in clips["GolfSwing"][:3])
        (workspace.features / f"{first.sha256}.safetensors").unlink()
        (workspace.features / f"{second.sha256}.safetensors").write_bytes(b"no features")
        (workspace.features / f"{third.sha256}.safetensors").unlink()
        third.error = "it does not decode"
    judge(catalog, clips["GolfSwing"][3:4], "GolfSwing", "keep")
    golf = {row.action: row for row in rank(catalog, workspace)}["GolfSwing"]
    assert (golf.clips, golf.undecided, golf.ranked, golf.without_features) == (6, 5, 2, 3)
    assert sorted(golf.reasons.values()) == [1, 1, 1]
    assert {"run plusmv extract", "it does not decode"} < set(golf.reasons)
    assert golf.signals == {"neighbours": 3}
    assert "plusmv weights rgb" in golf.missing["kinetics"]


def test_again_is_the_same(catalog, workspace):
    fill(catalog, 8, workspace)
    assert rank(catalog, workspace) == rank(catalog, workspace)
    before = scores(catalog, COMBINED)
    assert len(before) == 16
    assert all(0 <= score <= 1 for score in before.values())
    rank(catalog, workspace)
    assert scores(catalog, COMBINED) == before
    with catalog.reading() as session:
        assert session.scalar(select(func.count()).select_from(SuspicionScore)) == 32


def test_decisions_reorder_what_is_left(catalog, workspace):
    """Half of the clips decided: of the rest, the wrong ones stand above the good ones."""
    clips = fill(catalog, 40, workspace)["GolfSwing"]
    good, wrong = clips[0::2], clips[1::2]
    judge(catalog, good[:10], "GolfSwing", "keep")
    judge(catalog, wrong[:10], "GolfSwing", "mistagged")
    rank(catalog, workspace)
    golf = action_id(catalog, "GolfSwing")
    of_pair = scores(catalog, COMBINED)
    assert min(of_pair[clip, golf] for clip in wrong[10:]) > max(of_pair[clip, golf] for clip in good[10:])


def test_rerank_reads_no_features_and_follows_the_decisions(catalog, workspace):
    clips = fill(catalog, 30, workspace)["GolfSwing"]
    rank(catalog, workspace)
    golf = action_id(catalog, "GolfSwing")
    before = rerank(catalog, golf)
    for path in workspace.features.iterdir():
        path.unlink()
    judge(catalog, clips[:12], "GolfSwing", "keep")
    after = rerank(catalog, golf)
    assert after.undecided.sum() == 18
    assert after.probability[after.undecided].mean() < before.probability.mean() - 0.1
    assert scores(catalog, COMBINED)[clips[20], golf] == pytest.approx(after.probability[20], abs=1e-3)
    with catalog.writing() as session:
        for decision in session.scalars(select(Decision)).all():
            undo(session, decision.id, "me")
    assert np.allclose(rerank(catalog, golf).probability, before.probability)


def test_the_newest_verdict_counts_also_of_the_clip_as_a_whole(catalog, workspace):
    one, two, three, _ = fill(catalog, 4)["GolfSwing"]
    golf = action_id(catalog, "GolfSwing")
    judge(catalog, [one, two, three], "GolfSwing", "keep")
    with catalog.writing() as session:
        decide(session, two, "duplicate", "me")
        decide(session, three, "unusable", "me")
        decide(session, three, "mistagged", "you", golf)
        assert standing_verdicts(session, golf) == {one: "keep", two: "duplicate", three: "mistagged"}


def test_a_trainers_scores(catalog, workspace, tmp_path):
    """Wrong ones score low; ids and labels that are not the catalog's are passed over; a new file replaces the old."""
    clips = fill(catalog, 6)["GolfSwing"]
    golf = action_id(catalog, "GolfSwing")
    with catalog.reading() as session:
        names = [session.get(Clip, clip_id).sha256 for clip_id in clips]
    table(tmp_path / "f.csv", [(name, "GolfSwing", -number) for number, name in enumerate(names)] + [
        (names[0], "Billiards", 9), ("f" * 64, "GolfSwing", 1), (names[0], "Chess", 1)])  # fmt: skip
    golf_row = {row.action: row for row in rank(catalog, workspace, tmp_path / "f.csv")}["GolfSwing"]
    assert golf_row.signals == {"trainer": 6}
    combined = scores(catalog, COMBINED)
    assert [combined[clip, golf] for clip in clips] == sorted(combined[clip, golf] for clip in clips)
    table(tmp_path / "f.csv", [(names[2], "GolfSwing", 1.0)])
    rank(catalog, workspace, tmp_path / "f.csv")
    assert scores(catalog, "trainer") == {(clips[2], golf): -1.0}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,label\n", "lacks the column"),
        ("id,label,score\nx,GolfSwing,nan\n", "line 2"),
        ("id,label,score\nx,GolfSwing\n", "line 2"),
        ("id,label,score\nx,GolfSwing,1\n", "no score in"),
        ("id,label,score\n\xff\n", "no score in|not UTF-8"),
    ],
)
def test_a_scores_file_that_is_none(catalog, workspace, tmp_path, text, told):
    fill(catalog, 1)
    (tmp_path / "f.csv").write_text(text, encoding="latin-1")
    with pytest.raises(BadInput, match=told):
        rank(catalog, workspace, tmp_path / "f.csv")


def table(path, rows) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("id", "label", "score"), *rows])


def test_kinetics_needs_no_decision(catalog, workspace):
    """Features that the classifier calls golf driving are less suspicious; Billiards has no class and says so."""
    keep("rgb", random_weights("rgb").tensors, {"origin": "random, for a test", "licence": "none"})
    label = load("rgb").label
    from plusmv.features.classify import KINETICS_CLASSES

    weight, _ = last_layer(load("rgb"))
    clips = fill(catalog, 4)["GolfSwing"]
    golf, other = weight[KINETICS_CLASSES.index("golf driving")], weight[KINETICS_CLASSES.index("abseiling")]
    with catalog.reading() as session:
        for number, clip_id in enumerate(clips):
            rgb = np.stack([golf if number % 2 else other] * 2).astype(np.float32)
            name = session.get(Clip, clip_id).sha256
            made = VideoFeatures(name, {"rgb": rgb}, 25.0, weights={"rgb": label})
            write_features(workspace.features / f"{name}.safetensors", made)
    rows = {row.action: row for row in rank(catalog, workspace)}
    assert rows["GolfSwing"].signals["kinetics"] == 4
    assert rows["Billiards"].missing == {"kinetics": "no Kinetics-400 class shows this action"}
    found = scores(catalog, "kinetics")
    golf_id = action_id(catalog, "GolfSwing")
    assert found[clips[0], golf_id] > found[clips[1], golf_id]
