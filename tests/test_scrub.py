"""Files that name what was taken down: rid of it, and of nothing else."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from plusmv.core.workspace import Workspace
from plusmv.curate.takedown.scrub import scrub, without, words_of


@pytest.mark.parametrize(
    ("word", "named", "others"),
    [
        ("bob7", ("by bob7.", "@BOB7", "x_bob7", "niconico:bob7"), ("bob77", "abob7")),
        ("sm9", ("watch/sm9", "(sm9)"), ("sm95", "Asm9")),
        ("person_4711", ("aperson_4711b",), ("person_471", "person_47110")),
        ("7000012", ("3000_7000012", "v7000012x"), ("17000012", "70000123")),
        ("b\N{LATIN SMALL LETTER O WITH DIAERESIS}rn99", (r"b\u00f6rn99",), ("bjorn99",)),
    ],
)
def test_what_counts_as_the_word(word, named, others):
    words = words_of([word])
    assert all(any(one.stands_in(text) for one in words) for text in named)
    assert not any(one.stands_in(text) for one in words for text in others)


def test_one_or_two_characters_stand_in_anything():
    assert words_of(["42", "a"]) == []


def test_what_of_json_is_left():
    value = {"by": "bob7 and ann", "bob7": 1, "tags": ["golf", "@bob7"], "step": 4711, "owner": 7000012, "true": True}
    left = {"tags": ["golf"], "step": 4711, "true": True}
    assert without(value, words_of(["bob7", "4711", "7000012"])) == left


def test_files_keep_what_only_looks_like_a_word(tmp_path):
    """Numbers in a curve, bytes at random and a network's names are not touched by an id that they happen to have."""
    workspace, run = Workspace(tmp_path), tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    (run / "curves.csv").write_text("step,loss\n421,0.7000012345\n")
    (run / "detections.json").write_text('{"score": 0.421, "at": 421}')
    (run / "state.bin").write_bytes(b"\0\1\2 421 rgb bob7 \3")
    facts = {"plusmv": json.dumps({"by": "bob7", "microvideos": 5})}
    save_file({"rgb.weight": np.ones(421, np.float32)}, run / "checkpoint.safetensors", facts)
    before = {path: path.read_bytes() for path in run.iterdir()}
    done = scrub(workspace, words_of(["421", "7000012", "rgb", "weight", "bob7"]))
    assert done == {"removed": [], "rewritten": ["runs/r/checkpoint.safetensors"]}
    checkpoint = run / "checkpoint.safetensors"
    with safe_open(checkpoint, "numpy") as file:
        assert file.get_tensor("rgb.weight").sum() == 421
        assert json.loads(file.metadata()["plusmv"]) == {"microvideos": 5}
    assert all(path.read_bytes() == content for path, content in before.items() if path != checkpoint)


def test_what_names_the_word_goes(tmp_path):
    workspace, folder = Workspace(tmp_path), tmp_path / "features" / "shards"
    folder.mkdir(parents=True)
    clips = {"vid9": {}, "other": {}}
    save_file({f"{clip}/rgb": np.ones(3, np.float32) for clip in clips}, folder / "000001.safetensors",
              {"clips": json.dumps(clips)})  # fmt: skip
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "list.json").write_text('["vid9", "other"]')
    (tmp_path / "notes.txt").write_text("about vid9")
    (tmp_path / "rows.jsonl").write_text('{"id": "vid9"}\n{"id": "other"}\n')
    done = scrub(workspace, words_of(["vid9"]))
    assert done["removed"] == ["exports/list.json", "notes.txt"]
    assert done["rewritten"] == ["features/shards/000001.safetensors", "rows.jsonl"]
    assert (tmp_path / "rows.jsonl").read_text() == '{"id": "other"}\n'
    with safe_open(folder / "000001.safetensors", "numpy") as file:
        assert list(file.keys()) == ["other/rgb"]
        assert json.loads(file.metadata()["clips"]) == {"other": {}}
