"""What others' arrays hold is read where it is certain, and asked for where it is not."""

import numpy as np
import pytest

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.core.errors import BadInput
from plusmv.features import conversion
from plusmv.features.feature_files import VideoFeatures, list_features, read_features, write_features
from plusmv.features.published import ArrayLayout, UnclearLayout, parse_layout
from plusmv.wsal.feature_source import FeatureSource
from plusmv.wsal.training_set import load_training_set

UNSAID = ArrayLayout()


def saved(folder, *shape: int):
    """A folder with one array v.npy whose values tell their place."""
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 1000
    np.save(folder / "v.npy", array)
    return array


def streams(folder, layout: str | None = None) -> dict[str, np.ndarray]:
    return read_features([folder], "v", layout=parse_layout(layout)).streams


def test_both_streams_of_i3d_are_certain(tmp_path):
    array = saved(tmp_path, 40, 2048)
    read = streams(tmp_path)
    assert (read["rgb"] == array[:, :1024]).all() and (read["flow"] == array[:, 1024:]).all()


@pytest.mark.parametrize(
    "shape", [(40, 1024), (40, 1000), (40, 16), (2048, 40), (1024, 40), (2048, 2048), (1024, 2048), (2048, 1024)]
)
def test_every_other_array_is_asked_about_with_its_shape(tmp_path, shape):
    saved(tmp_path, *shape)
    with pytest.raises(UnclearLayout) as asked:
        streams(tmp_path)
    assert str(shape) in str(asked.value)
    assert "--layout" in str(asked.value)


@pytest.mark.parametrize("name", ["rgb", "flow"])
def test_one_stream_is_one_stream(tmp_path, name):
    array = saved(tmp_path, 40, 1024)
    read = streams(tmp_path, name)
    assert list(read) == [name]
    assert (read[name] == array).all()


@pytest.mark.parametrize(
    ("shape", "said", "expected"),
    [
        ((2048, 40), "transposed", {"rgb": (40, 1024), "flow": (40, 1024)}),
        ((2048, 2048), "transposed", {"rgb": (2048, 1024), "flow": (2048, 1024)}),
        ((2048, 2048), "joint", {"rgb": (2048, 1024), "flow": (2048, 1024)}),
        ((2048, 2048), "Flow", {"flow": (2048, 2048)}),
        ((1024, 40), "rgb, transposed", {"rgb": (40, 1024)}),
        ((1024, 400), "rgb", {"rgb": (1024, 400)}),  # 1,024 snippets: naming the stream says that rows are snippets
        ((16, 3), "transposed,joint", {"rgb": (3, 8), "flow": (3, 8)}),
    ],
)
def test_what_is_said_is_done(tmp_path, shape, said, expected):
    array = saved(tmp_path, *shape)
    read = streams(tmp_path, said)
    assert {name: stream.shape for name, stream in read.items()} == expected
    assert next(iter(read.values()))[1, 0] == (array[0, 1] if "transposed" in said else array[1, 0])


@pytest.mark.parametrize(("shape", "said"), [((1024, 40), "transposed"), ((40, 2048), "transposed")])
def test_what_is_said_must_fit(tmp_path, shape, said):
    saved(tmp_path, *shape)
    with pytest.raises(UnclearLayout):
        streams(tmp_path, said)


@pytest.mark.parametrize("kind", ["npz", "folders"])
def test_named_arrays_are_their_streams_unless_they_look_transposed(tmp_path, kind):
    def save(*shape):
        if kind == "npz":
            np.savez(tmp_path / "v.npz", rgb=np.zeros(shape))
        else:
            (tmp_path / "rgb").mkdir(exist_ok=True)
            np.save(tmp_path / "rgb" / "v.npy", np.zeros(shape))

    save(40, 1024)
    assert streams(tmp_path)["rgb"].shape == (40, 1024)
    save(40, 7)
    assert streams(tmp_path)["rgb"].shape == (40, 7)
    save(1024, 40)
    with pytest.raises(UnclearLayout):
        streams(tmp_path)
    assert streams(tmp_path, "transposed")["rgb"].shape == (40, 1024)
    assert streams(tmp_path, "rgb")["rgb"].shape == (1024, 40)


@pytest.mark.parametrize("text", ["rgb,flow", "folders", "rgb,rgb", "transposed,transposed", "(T, d)"])
def test_other_words_are_refused(text):
    with pytest.raises(BadInput):
        parse_layout(text)
    assert parse_layout(None) == parse_layout("") == UNSAID


def test_a_question_about_the_layout_is_no_reason_to_leave_a_video_out(tmp_path):
    """It concerns the whole folder: training on the few other videos would answer it in silence."""
    saved(tmp_path, 40, 1024)
    write_features(tmp_path / "w.safetensors", VideoFeatures("w", {"rgb": np.ones((40, 1024), np.float32)}, 25.0))
    videos = {name: AnnotatedVideo(name, "validation", 0.0, 25.0, (Instance("Dive", 0, 1),)) for name in "vw"}
    with pytest.raises(UnclearLayout):
        load_training_set(videos, FeatureSource((tmp_path,)))
    assert len(load_training_set(videos, FeatureSource((tmp_path,), layout=parse_layout("rgb"))).videos) == 2
    with pytest.raises(UnclearLayout):
        list(conversion.import_features(tmp_path, tmp_path / "ours", 25.0, 16))
    with pytest.raises(UnclearLayout):
        list(conversion.export_features(tmp_path, tmp_path / "out", "npz"))
    assert not list((tmp_path / "ours").glob("*.safetensors"))
    assert [conversion.verify(tmp_path)[state] for state in ("failed", "done")] == [1, 1]
    list(conversion.import_features(tmp_path, tmp_path / "ours", 25.0, 16, layout=parse_layout("rgb")))
    assert list_features([tmp_path / "ours"]) == {"v", "w"}


def test_the_question_names_the_option_that_answers_it(tmp_path):
    np.save(tmp_path / "v.npy", np.ones((4, 1024), np.float32))
    for option in ("--layout", "--from-layout"):
        with pytest.raises(UnclearLayout, match=f" {option}: "):
            read_features([tmp_path], "v", layout=parse_layout(None, option))
