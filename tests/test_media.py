"""The media store: content at its address, named by its bytes; nothing is left of what did not come in whole."""

from pathlib import Path

import av
import pytest

from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace, remove_stale_parts, sha256_of
from plusmv.curate.crawl.media import drop, inspect, receive, settle
from tests.small_videos import make_video


def files(workspace) -> list[str]:
    return sorted(path.name for path in workspace.home.rglob("*") if path.is_file())


def test_received_content_is_hashed_and_settled_once(tmp_path):
    workspace = Workspace(tmp_path)
    for _ in range(2):
        received = receive(workspace, lambda file: [file.write(b"one "), file.write(b"clip")])
        assert (received.bytes, received.sha256) == (8, sha256_of(received.path))
        address = settle(workspace, received, ".mp4")
    assert address == workspace.media(received.sha256, ".mp4")
    assert address.read_bytes() == b"one clip"
    assert files(workspace) == [address.name]


def test_nothing_is_left_of_a_download_that_fails_or_is_dropped(tmp_path):
    workspace = Workspace(tmp_path)

    def fail(file) -> None:
        file.write(b"half")
        raise BadInput("cut off")

    with pytest.raises(BadInput, match="cut off"):
        receive(workspace, fail)
    drop(receive(workspace, lambda file: file.write(b"whole")))
    assert files(workspace) == []


def test_what_a_living_process_receives_is_not_swept(tmp_path):
    workspace = Workspace(tmp_path)
    received = receive(workspace, lambda file: file.write(b"whole"))
    assert remove_stale_parts(tmp_path) == 0
    received.path.rename(received.path.with_name(".incoming.4194305-00000000.part"))  # over Linux' highest process id
    assert remove_stale_parts(tmp_path) == 1


@pytest.mark.parametrize(
    ("made_as", "codec", "suffix"),
    [
        (".mp4", "libx264", ".mp4"),
        (".mov", "libx264", ".mov"),
        (".mkv", "libx264", ".mkv"),
        (".avi", "mpeg4", ".avi"),
        (".ts", "libx264", ".ts"),
    ],
)
def test_the_suffix_is_that_of_the_bytes(tmp_path, made_as, codec, suffix):
    named = make_video(tmp_path / f"a{made_as}", seconds=1, codec=codec).rename(tmp_path / "a.mp4.exe")
    facts = inspect(named)
    assert (facts.suffix, facts.width, facts.height) == (suffix, 64, 48)
    assert facts.duration == pytest.approx(1.0, abs=0.11)


def test_a_gif_says_how_long_it_is(shared):
    facts = inspect(shared / "clips" / "v_CricketShot_g04_c01_rgb.gif")
    assert (facts.suffix, facts.codec, facts.duration) == (".gif", "gif", pytest.approx(3.16))


@pytest.mark.parametrize("name", ["torchvision_basketball.mp4", "c3d_v_BaseballPitch_g01_c01.avi"])
def test_a_video_that_is_cut_short_is_refused(shared, tmp_path, name):
    """Its header, read first, still names the whole length."""
    cut = tmp_path / f"cut{Path(name).suffix}"
    index_first(shared / "clips" / name, cut)
    inspect(cut)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(BadInput, match="cut short"):
        inspect(cut)


def test_what_is_left_of_a_matroska_counts(shared, tmp_path):
    content = (shared / "clips" / "decord_flipping_a_pancake.mkv").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    assert inspect(tmp_path / "cut").duration < 8  # of 10.3, which its header names


def index_first(video: Path, copy: Path) -> None:
    """The same pictures in a file whose index comes first, as the web has its MP4."""
    with av.open(str(video)) as original, av.open(str(copy), "w", options={"movflags": "+faststart"}) as made:
        stream = made.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
