"""Shards read like loose files, whatever was killed, lost or damaged on the way."""

import json
import multiprocessing
import os
import shutil

import numpy as np
import pytest

from plusmv.core.errors import BadInput
from plusmv.core.locks import one_change
from plusmv.features import conversion, shards
from plusmv.features.feature_files import SUFFIX, VideoFeatures, list_features, read_features, write_features


def fill(folder, ids, value: float = 0.0) -> None:
    for index, video_id in enumerate(ids):
        rgb = np.full((3, 4), index + value, np.float32)
        write_features(folder / f"{video_id}{SUFFIX}", VideoFeatures(video_id, {"rgb": rgb}, 25.0, frames=48))


def values(folder) -> dict[str, float]:
    return {
        video_id: float(read_features([folder], video_id).streams["rgb"][0, 0]) for video_id in list_features([folder])
    }


def packed(folder) -> list[str]:
    return sorted(path.name for path in (folder / "shards").iterdir())


def test_packed_features_are_the_same_and_the_loose_files_go(tmp_path):
    ids = [f"v{index}" for index in range(25)]
    fill(tmp_path, ids)
    before, whole = values(tmp_path), read_features([tmp_path], "v7")
    ended = list(conversion.compact(tmp_path, clips=10))
    assert sorted(outcome.id for outcome in ended) == sorted(ids)
    assert {outcome.state for outcome in ended} == {"done"}
    assert packed(tmp_path) == [f"{number:06d}{end}" for number in (1, 2, 3) for end in (".json", SUFFIX)]
    assert not list(tmp_path.glob(f"*{SUFFIX}"))
    assert values(tmp_path) == before
    again = read_features([tmp_path], "v7")
    assert (again.frames, again.fps, again.id) == (whole.frames, whole.fps, "v7")
    assert list(conversion.compact(tmp_path, clips=10)) == []


def test_a_loose_file_is_newer_and_small_shards_are_filled_up(tmp_path):
    fill(tmp_path, ["a", "b", "c"])
    list(conversion.compact(tmp_path, clips=10))
    fill(tmp_path, ["b", "d"], value=100)
    assert values(tmp_path) == {"a": 0, "b": 100, "c": 2, "d": 101}
    list(conversion.compact(tmp_path, clips=10))
    assert values(tmp_path) == {"a": 0, "b": 100, "c": 2, "d": 101}
    assert len(packed(tmp_path)) == 2


def test_old_features_in_a_small_shard_do_not_come_back(tmp_path):
    fill(tmp_path, ["a", "b", "c", "d"])
    list(conversion.compact(tmp_path, clips=4))
    fill(tmp_path, ["a", *"efghijk"], value=100)
    list(conversion.compact(tmp_path, clips=8))
    fill(tmp_path, ["z"])
    before = values(tmp_path)
    list(conversion.compact(tmp_path, clips=10))
    assert values(tmp_path) == before
    assert before["a"] == 100


def test_killed_between_the_shard_and_the_removal_nothing_is_lost_or_twice(tmp_path):
    fill(tmp_path, [f"v{index}" for index in range(10)])
    before = values(tmp_path)
    run = conversion.compact(tmp_path, clips=5)
    next(run)  # the first shard is written, one of its files is gone
    run.close()
    assert values(tmp_path) == before
    list(conversion.compact(tmp_path, clips=5))
    assert values(tmp_path) == before
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


def test_a_lost_or_foreign_index_is_read_off_the_shard(tmp_path):
    fill(tmp_path, ["a", "b"])
    list(conversion.compact(tmp_path))
    index = tmp_path / "shards" / "000001.json"
    for content in (None, "{", json.dumps({"bytes": 1, "ids": ["x"]})):
        index.unlink(missing_ok=True)
        if content is not None:
            index.write_text(content)
        shards._places_at.cache_clear()
        assert values(tmp_path) == {"a": 0, "b": 1}


def test_videos_are_taken_out_of_shards_and_everywhere_else(tmp_path):
    fill(tmp_path, ["a", "b", "c"])
    list(conversion.compact(tmp_path))
    fill(tmp_path, ["a"])
    np.save(tmp_path / "n.npy", np.zeros((2, 4)))
    assert conversion.forget(tmp_path, ["a", "n", "never"]) == ["a", "n"]
    assert values(tmp_path) == {"b": 1, "c": 2}
    assert b'"a"' not in (tmp_path / "shards" / f"000001{SUFFIX}").read_bytes()
    conversion.forget(tmp_path, ["b", "c"])
    assert packed(tmp_path) == []
    assert list_features([tmp_path]) == set()


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path):
    path = tmp_path / "v.safetensors"
    write_features(path, VideoFeatures("v", {"rgb": np.ones((1, 2), np.float32)}, 25.0))
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(BadInput):
            read_features([tmp_path], "v")


def test_a_flipped_byte_is_found_loose_and_packed(tmp_path):
    fill(tmp_path / "loose", ["a", "b"], value=3)
    shutil.copytree(tmp_path / "loose", tmp_path / "packed")
    list(conversion.compact(tmp_path / "packed"))
    for folder, name in (("loose", f"a{SUFFIX}"), ("packed", f"shards/000001{SUFFIX}")):
        path = tmp_path / folder / name
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))
        result = conversion.verify(tmp_path / folder)
        assert (result["done"], result["failed"], result["failures"][0]["id"]) == (1, 1, "a" if name[0] == "a" else "b")


def test_changed_metadata_is_found(tmp_path):
    fill(tmp_path, ["a"])
    path = tmp_path / f"a{SUFFIX}"
    path.write_bytes(path.read_bytes().replace(b"25.0", b"30.0"))
    with pytest.raises(BadInput, match="checksum"):
        read_features([tmp_path], "a")


def test_damaged_files_are_not_packed_but_said(tmp_path):
    fill(tmp_path, ["a", "b"])
    (tmp_path / f"a{SUFFIX}").write_bytes(b"broken")
    ended = {outcome.id: outcome.state for outcome in conversion.compact(tmp_path)}
    assert ended == {"a": "failed", "b": "done"}
    assert (tmp_path / f"a{SUFFIX}").is_file()


def test_a_shard_that_is_none_gives_one_line(tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / f"000001{SUFFIX}").write_bytes(b"no shard")
    with pytest.raises(BadInput, match="cannot read the shard"):
        list_features([tmp_path])


def ids_by_place(folder) -> list[str]:
    """Every place in which an id stands, shards and files alike: none may come twice."""
    loose = [path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")]
    return sorted(loose + [video_id for path in shards._shards(folder) for video_id in shards._ids(path)])


def packed_twice(folder) -> dict[str, float]:
    """As a kill between the new shard and the removals leaves it: ids in two shards, others in a shard and a file."""
    fill(folder, ["a", "b", "c"])
    list(conversion.compact(folder, clips=10))
    fill(folder, ["b", "d", "e"], value=100)
    before = [(path, path.read_bytes()) for path in (*folder.glob(f"*{SUFFIX}"), *(folder / "shards").iterdir())]
    wanted = values(folder)
    list(conversion.compact(folder, clips=10))
    for path, content in before:
        path.write_bytes(content)
    return wanted


@pytest.mark.parametrize("command", ["compact", "import", "settle"])
def test_after_a_kill_every_id_is_read_right_and_the_next_command_leaves_it_once(tmp_path, command):
    wanted = packed_twice(tmp_path / "f")
    assert len(ids_by_place(tmp_path / "f")) > len(wanted)
    assert values(tmp_path / "f") == wanted
    (tmp_path / "none").mkdir()
    {
        "compact": lambda: list(conversion.compact(tmp_path / "f", clips=10)),
        "import": lambda: list(conversion.import_features(tmp_path / "none", tmp_path / "f", 25, 16)),
        "settle": lambda: conversion.settle(tmp_path / "f"),
    }[command]()
    assert ids_by_place(tmp_path / "f") == sorted(wanted)
    assert values(tmp_path / "f") == wanted


def test_no_id_is_in_two_shards_after_newer_features_of_full_ones(tmp_path):
    fill(tmp_path, "abcd")
    list(conversion.compact(tmp_path, clips=4))
    fill(tmp_path, "bcef", value=100)
    list(conversion.compact(tmp_path, clips=4))
    assert ids_by_place(tmp_path) == list("abcdef")
    assert values(tmp_path) == {"a": 0, "b": 100, "c": 101, "d": 3, "e": 102, "f": 103}


def test_what_is_packed_is_not_imported_again(tmp_path):
    fill(tmp_path / "theirs", "ab")
    fill(tmp_path / "f", "a", value=7)
    list(conversion.compact(tmp_path / "f"))
    ended = {one.id: one.state for one in conversion.import_features(tmp_path / "theirs", tmp_path / "f", 25, 16)}
    assert ended == {"a": "skipped", "b": "done"}
    assert ids_by_place(tmp_path / "f") == ["a", "b"]


def _compact(folder, start) -> None:
    start.wait()
    list(conversion.compact(folder, clips=3))


def _write_again(folder, start) -> None:
    start.wait()
    for _ in range(5):
        with one_change(folder):
            fill(folder, [f"v{index:02d}" for index in range(20)])


def _read(folder, start, queue) -> None:
    start.wait()
    for _ in range(30):
        if len(read := values(folder)) != 20 or any(int(video_id[1:]) != value for video_id, value in read.items()):
            queue.put(read)


def test_two_that_pack_one_that_writes_and_one_that_reads(tmp_path):
    fill(tmp_path, [f"v{index:02d}" for index in range(20)])
    before = values(tmp_path)
    fork = multiprocessing.get_context("fork")
    start, queue = fork.Event(), fork.Queue()
    tasks = [(_compact, ()), (_compact, ()), (_write_again, ()), (_read, (queue,))]
    processes = [fork.Process(target=task, args=(tmp_path, start, *more)) for task, more in tasks]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0] and queue.empty()
    list(conversion.compact(tmp_path, clips=3))
    assert values(tmp_path) == before
    assert ids_by_place(tmp_path) == sorted(before)


def test_taken_out_while_another_packs_it_stays_out(tmp_path):
    """What packs a file holds the folder's lock; whoever takes it out has to wait for the shard."""
    fill(tmp_path, "abc")
    with one_change(tmp_path):
        taking_out = multiprocessing.get_context("fork").Process(target=conversion.forget, args=(tmp_path, ["a"]))
        taking_out.start()
        conversion._packed(tmp_path, "abc", 10)
    taking_out.join()
    assert values(tmp_path) == {"b": 1, "c": 2}
