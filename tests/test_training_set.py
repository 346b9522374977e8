"""What training loads: nothing is dropped in silence, and what does not belong together is refused."""

from dataclasses import replace

import numpy as np
import pytest

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.core.errors import BadInput, Missing, Refused
from plusmv.features.feature_files import VideoFeatures, write_features
from plusmv.wsal.feature_source import FeatureSource, duration_mismatch, summary
from plusmv.wsal.training_set import load_training_set
from tests.simulated import ACTIONS, simulated_videos, write_simulated
from tests.test_feature_files import swap


def labelled(name: str, *labels: str, duration: float = 0.0) -> AnnotatedVideo:
    return AnnotatedVideo(name, "validation", duration, 0.0, tuple(Instance(label, 0.0, 1.0) for label in labels))


def keep(folder, name: str, count: int = 5, width: int = 4, **facts) -> None:
    streams = {"rgb": np.full((count, width), 0.5, np.float32)} | facts.pop("streams", {})
    write_features(folder / f"{name}.safetensors", VideoFeatures(name, streams, 25.0, **facts))


def test_all_videos_load_with_their_targets(tmp_path):
    videos, features = simulated_videos(6, "validation", 1)
    training = load_training_set(videos, FeatureSource((write_simulated(tmp_path, features),)))
    assert training.classes == ACTIONS
    assert training.streams == ("rgb", "flow")
    assert (len(training.videos), training.left_out, training.unknown_recipes) == (6, {}, 6)
    assert training.videos[1].target.tolist() == [0, 0, 1, 0, 0]


def test_several_labels_share_the_target(tmp_path):
    keep(tmp_path, "v")
    training = load_training_set({"v": labelled("v", "Diving", "CliffDiving")}, FeatureSource((tmp_path,)))
    assert training.videos[0].target.tolist() == [0, 0.5, 0.5]


def test_every_video_that_takes_no_part_is_named_with_a_reason(tmp_path):
    keep(tmp_path, "good")
    keep(tmp_path, "unlabelled")
    keep(tmp_path, "long", duration=None)
    np.save(tmp_path / "nan.npy", np.full((5, 8), np.nan, np.float32))
    np.save(tmp_path / "empty.npy", np.zeros((0, 8), np.float32))
    videos = {name: labelled(name, "Dive") for name in ("good", "absent", "nan", "empty")}
    videos |= {"unlabelled": labelled("unlabelled"), "long": labelled("long", "Dive", duration=60.0)}
    training = load_training_set(videos, FeatureSource((tmp_path,)), ["rgb"])
    assert [video.id for video in training.videos] == ["good"]
    assert set(training.left_out) == {"absent", "nan", "empty", "unlabelled", "long"}
    for name, words in {"nan": "NaN", "empty": "at least one snippet", "unlabelled": "no label",
                        "long": "annotated as 60.0 s", "absent": "no features"}.items():  # fmt: skip
        assert words in training.left_out[name]
    assert summary(training.left_out, 2)[-1] == "left out 3 more videos"


def test_a_video_without_a_wanted_stream_takes_no_part(tmp_path):
    keep(tmp_path, "two", streams={"flow": np.ones((5, 4), np.float32)})
    keep(tmp_path, "one")
    videos = {name: labelled(name, "Dive") for name in ("one", "two")}
    source = FeatureSource((tmp_path,))
    assert "no stream flow" in load_training_set(videos, source).left_out["one"]
    assert not load_training_set(videos, source, ["rgb"]).left_out


def test_nothing_to_train_on_says_why(tmp_path):
    with pytest.raises(Missing, match="none of 1 videos"):
        load_training_set({"v": labelled("v", "Dive")}, FeatureSource((tmp_path,)))


def test_known_recipes_do_not_mix_unless_allowed(tmp_path):
    keep(tmp_path, "a", recipe="one")
    keep(tmp_path, "b", recipe="two")
    videos = {name: labelled(name, "Dive") for name in "ab"}
    with pytest.raises(Refused, match=r"one \(such as a\) and two \(such as b\).*--allow-mixed-recipes"):
        load_training_set(videos, FeatureSource((tmp_path,)))
    allowed = load_training_set(videos, FeatureSource((tmp_path,)), allow_mixed_recipes=True)
    assert allowed.recipes == ("one", "two")


def test_features_of_different_widths_are_refused(tmp_path):
    keep(tmp_path, "a")
    keep(tmp_path, "b", width=6)
    with pytest.raises(BadInput, match="rgb features of b are 6 wide, those of a 4"):
        load_training_set({name: labelled(name, "Dive") for name in "ab"}, FeatureSource((tmp_path,)))


def test_microvideos_join_and_add_no_class(tmp_path):
    for name in ("v", "clip", "foreign"):
        keep(tmp_path, name)
    clips = {"clip": labelled("clip", "Dive"), "foreign": labelled("foreign", "Surf")}
    source = FeatureSource((tmp_path,))
    training = load_training_set({"v": labelled("v", "Dive")}, source, microvideos=clips)
    assert training.classes == ("Dive",)
    assert [(video.id, video.microvideo) for video in training.videos] == [("v", False), ("clip", True)]
    assert "is a class" in training.left_out["foreign"]
    with pytest.raises(BadInput, match="both in the annotations and"):
        load_training_set({"v": labelled("v", "Dive")}, source, microvideos={"v": labelled("v", "Dive")})


def test_activitynets_files_are_found_by_ids_without_their_prefix(tmp_path):
    keep(tmp_path, "v_abc")
    training = load_training_set({"abc": labelled("abc", "Dive")}, FeatureSource((tmp_path,)))
    assert [video.id for video in training.videos] == ["abc"]


def test_a_class_with_one_video_and_ambiguous_segments(tmp_path):
    """One video makes a class; what nobody could judge makes none."""
    for name in "ab":
        keep(tmp_path, name)
    videos = {"a": labelled("a", "Dive", "Ambiguous"), "b": labelled("b", "Ambiguous")}
    training = load_training_set(videos, FeatureSource((tmp_path,)))
    assert training.classes == ("Dive",)
    assert training.left_out == {"b": "it has no label"}


def test_the_digest_changes_with_labels_and_values(tmp_path):
    keep(tmp_path, "v")
    source = FeatureSource((tmp_path,))
    first = load_training_set({"v": labelled("v", "Dive")}, source)
    assert first.digest() == load_training_set({"v": labelled("v", "Dive")}, source).digest()
    assert first.digest() != load_training_set({"v": labelled("v", "Dive", "Jump")}, source).digest()
    changed = replace(first.videos[0], streams={"rgb": first.videos[0].streams["rgb"] + 1})
    assert first.digest() != replace(first, videos=(changed,)).digest()


def test_features_fit_within_two_snippets():
    features = VideoFeatures("v", {"rgb": np.ones((10, 2), np.float32)}, 25.0)  # 6.4 s
    assert duration_mismatch(features, 0.0) is None
    assert duration_mismatch(features, 7.5) is None
    assert "6.4 s" in duration_mismatch(features, 9.0)
    assert "annotated as 3.0 s" in duration_mismatch(features, 3.0)


def test_swapped_feature_files_take_no_part_and_are_named(tmp_path):
    for name in ("a", "b", "c"):
        keep(tmp_path, name)
    swap(tmp_path, "a", "b")
    usable, left_out = FeatureSource((tmp_path,)).read_all([labelled(name, "Diving") for name in "abc"])
    assert (set(usable), set(left_out)) == ({"c"}, {"a", "b"})
