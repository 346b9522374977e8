"""Hostile inputs: those that once came out as anything but a named error, and some fresh ones of every quick parser.

benchmarks/fuzz.py runs the same for as long as one likes, each case in a process that may neither hang nor swell.
"""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.faults.fuzzing import Fuzzing, case, in_a_process, read
from tests.faults.mutate import DEEP
from tests.faults.parsers import PARSERS

NAMED = {parser.name: parser for parser in PARSERS}
SLOW = ("mp4", "mkv", "avi", "npz", "torch and flax checkpoints", "run", "links", "passwords", "hash file",
        "instaloader xz", "gzip page", "wtalc arrays")  # fmt: skip
QUICK = [parser for parser in PARSERS if parser.name not in SLOW and not parser.name.endswith("answers")]
READ = ("annotations", "detections", "thumos text", "wtalc arrays", "actions csv", "manifest csv", "manifest jsonl",
        "info.json", "instaloader xz", "npz", "feature file", "shard", "shard index", "weights", "mp4",
        "cookies")  # fmt: skip
DEEP_IN = ("annotations", "detections", "info.json", "labeler entries", "manifest jsonl")
ZIP = b"PK\x05\x06" + b"\0" * 18
ONCE_WRONG = {
    "an archive in a .npy": ("npy", ZIP),
    "an array of W-TALC that holds one number": ("wtalc arrays", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', "
                                                 b"'fortran_order': False, 'shape': (), }".ljust(128) + bytes(8)),
    "curves that are no text": ("curves", b"\x80\x04."),
    "curves whose cells moved": ("curves", b"stream,step\nrgb,rgb\n"),
    "curves with a cell too many": ("curves", b"stream,step\nrgb,1,2\n"),
    "curves with a cell too long": ("curves", b"stream,step\nrgb," + b"1" * 200_000),
    "a hashtag's answer whose paging is a number": ("graph answers", b'{"data": [{"id": "1"}], "paging": 3}'),
    "a hashtag's answer whose cursors are a list": ("graph answers",
                                                    b'{"data": [{"id": "1"}], "paging": {"cursors": []}}'),
    "a hashtag whose id is infinite": ("graph tag answers", b'{"data": [{"id": Infinity}]}'),
    "a video's facts that are text": ("youtube videos answers",
                                      b'{"items": [{"id": "x", "contentDetails": "long", "status": [1]}]}'),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_the_cases_are_made_of_is_read(name):
    """Else fuzzing would test how rubbish is refused, and nothing behind that."""
    read(NAMED[name], case(NAMED[name], 0))


def test_what_once_went_wrong_and_deep_json_are_read_or_refused_by_name():
    deep = [(name, content) for name in DEEP_IN for content in (b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP)]
    assert in_a_process([*ONCE_WRONG.values(), *deep]) == []


def test_a_run_whose_metadata_are_a_number_is_refused(tmp_path):
    from plusmv.core.errors import BadInput
    from plusmv.wsal.checkpoints import load_checkpoint

    header = json.dumps({"__metadata__": {"plusmv": "3"}}).encode()
    (tmp_path / "run.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BadInput):
        load_checkpoint(tmp_path / "run.safetensors")


def test_a_few_hostile_inputs_of_every_quick_parser():
    """The same ones every time."""
    assert in_a_process([(parser.name, case(parser, number)) for parser in QUICK for number in range(20)]) == []


@pytest.mark.slow
def test_a_second_of_hostile_inputs_for_every_parser():
    """By the script: in a process whose libraries have no threads yet when it forks."""
    script = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--seconds", "1"]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, timeout=900)
    assert done.returncode == 0, done.stdout


def test_what_hangs_and_what_takes_memory_is_found():
    """The harness itself: a reader that never ends, one that takes 2 GB, and one that dies."""
    import os
    import time
    from dataclasses import replace

    import tests.faults.fuzzing as harness

    def hangs(path) -> None:
        if len(path.read_bytes()) == 3:
            time.sleep(60)

    def swells(path) -> None:
        bytearray(2 << 30 if len(path.read_bytes()) == 3 else 1)

    def dies(path) -> None:
        if len(path.read_bytes()) == 3:
            os._exit(7)

    before, harness.SECONDS = harness.SECONDS, 0.3
    try:
        for reads, wrong in ((hangs, "no end"), (swells, "MemoryError"), (dies, "exit code 7")):
            parser = replace(
                NAMED["options"], name=f"a reader that {reads.__name__}", seeds=lambda: [b"a", b"abc"], read=reads
            )
            first = next(iter(Fuzzing(parser, 0.5)))
            assert first.number == 1 and wrong in first.what
    finally:
        harness.SECONDS = before
