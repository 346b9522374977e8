"""Every parser of the toolkit that reads what others wrote: small valid seeds, and the call that reads a file.

A call may succeed or raise one of core.errors; anything else is a fault. Each call works in a folder of its own, which
holds the input under the parser's file name and nothing else but what the call puts beside it.
"""

import functools
import gzip
import lzma
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import hostile_sites, reading, seeds


@dataclass(frozen=True)
class Parser:
    """kind: how inputs are made hostile (tests.faults.mutate). private: the file must be one of mode 0600."""

    name: str
    file: str
    kind: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    private: bool = False


CSV_DECISIONS = (
    b"clip,action,verdict,annotator,seconds,reason\na.mp4,BaseballPitch,keep,me,2.5,x\na.mp4,,unusable,me,,\n"
)
COOKIES = b"# Netscape HTTP Cookie File\n.instagram.com\tTRUE\t/\tTRUE\t2000000000\tsessionid\ts\n"
CURVES = b"stream,step,loss,fg,bg,attention_mean,attention_q10,attention_q90\nrgb,1,0.5,0.2,0.3,0.5,0.1,0.9\n"
PARSERS = (
    Parser("annotations", "a.json", "json", lambda: [seeds.compact(seeds.GT)], reading.annotations),
    Parser("detections", "d.json", "json", lambda: [seeds.compact(seeds.DETECTIONS)], reading.detections),
    Parser("thumos text", "Run_val.txt", "text", lambda: [b"video_1 1.5 2.5\nvideo_2  3 4\n"], reading.text_folder),
    Parser("wtalc arrays", "segments.npy", "npy", seeds.wtalc_seeds, reading.wtalc),
    Parser(
        "actions csv",
        "actions.csv",
        "csv",
        lambda: [b"action,tags,definition,kinetics\nRun,run running,To run.,jogging\nJump,jump,,\n"],
        reading.actions,
    ),
    Parser(
        "manifest csv",
        "manifest.csv",
        "csv",
        lambda: [
            ",".join(seeds.MANIFEST).encode() + b"\n" + ",".join(str(v or "") for v in seeds.MANIFEST.values()).encode()
        ],
        reading.folder,
    ),
    Parser(
        "manifest jsonl",
        "manifest.jsonl",
        "lines",
        lambda: [seeds.compact(seeds.MANIFEST) + b"\n" + seeds.compact(seeds.MANIFEST)],
        reading.folder,
    ),
    Parser("info.json", "a.info.json", "json", lambda: [seeds.compact(seeds.INFO)], reading.sidecar),
    Parser(
        "instaloader xz", "a.json.xz", "packed", lambda: [lzma.compress(seeds.compact(seeds.NODE))], reading.sidecar
    ),
    Parser("instaloader json", "a.json", "json", lambda: [seeds.compact(seeds.NODE)], reading.sidecar),
    Parser(
        "gallery-dl json",
        "a.mp4.json",
        "json",
        lambda: [
            seeds.compact(
                {
                    "category": "instagram",
                    "post_shortcode": "Cx",
                    "owner_id": "42",
                    "description": None,
                    "post_date": "2019-10-27 09:00:00",
                }
            )
        ],
        reading.sidecar,
    ),
    Parser("decisions csv", "d.csv", "csv", lambda: [CSV_DECISIONS], reading.decisions),
    Parser(
        "scores csv",
        "s.csv",
        "csv",
        lambda: [b"id,label,score\n" + b"a" * 64 + b",BaseballPitch,0.5\n"],
        reading.scores,
    ),
    Parser("npy", "v.npy", "npy", seeds.npy_seeds, reading.features),
    Parser("npz", "v.npz", "npz", seeds.npz_seeds, reading.features),
    Parser("feature file", "v.safetensors", "safetensors", seeds.feature_seeds, reading.features),
    Parser("shard", "000001.safetensors", "safetensors", lambda: [seeds.shard_seed()[0]], reading.shard),
    Parser("shard index", "000001.json", "json", lambda: [seeds.shard_seed()[1]], reading.shard),
    Parser("torch and flax checkpoints", "m.pt", "binary", seeds.checkpoint_seeds, reading.checkpoint),
    Parser("tensorflow bundle", "model.index", "binary", seeds.bundle_seeds, reading.bundle),
    Parser("weights", "i3d_rgb.safetensors", "safetensors", seeds.weights_seeds, reading.weights),
    Parser("run", "checkpoint.safetensors", "safetensors", seeds.run_seeds, reading.run),
    Parser("mp4", "a.mp4", "binary", lambda: seeds.film(".mp4", "libx264"), reading.video),
    Parser("mkv", "a.mkv", "binary", lambda: seeds.film(".mkv", "libx264"), reading.video),
    Parser("avi", "a.avi", "binary", lambda: seeds.film(".avi", "mpeg4"), reading.video),
    Parser(
        "cookies",
        "cookies.txt",
        "text",
        lambda: [COOKIES, b'{"sessionid": "s"}', pickle.dumps({"sessionid": "s"})],
        reading.cookies,
        private=True,
    ),
    Parser(
        "links",
        "links.txt",
        "text",
        lambda: [b"# a list\nhttps://clips.example/v/1 golf\nhttps://x.example/2\n"],
        reading.links,
    ),
    Parser("passwords", "people", "text", lambda: [b"ann:00ff:" + b"0" * 128 + b"\n"], reading.people, private=True),
    Parser("hash file", "hashes", "safetensors", seeds.hash_seeds, reading.hashes),
    Parser("curves", "curves.csv", "csv", lambda: [CURVES], reading.curves),
    Parser(
        "options",
        "options",
        "text",
        lambda: [b"0:0.5:0.025", b"0.1,0.3", b"rgb,flow", b"0.1,0.1,0.1", b"sigma=1", b"pool=norm"],
        reading.options,
    ),
    *(
        Parser(f"{name} answers", "answer", "json", seeds, functools.partial(hostile_sites.read, name))
        for name, seeds in hostile_sites.SEEDS.items()
    ),
    Parser(
        "labeler entries",
        "entries",
        "json",
        lambda: [seeds.compact(seeds.ENTRY)],
        functools.partial(hostile_sites.post, "decisions"),
    ),
    Parser(
        "labeler work",
        "work",
        "json",
        lambda: [seeds.compact(seeds.WORK)],
        functools.partial(hostile_sites.post, "work"),
    ),
    Parser(
        "labeler paths", "path", "text", lambda: [b"/clips/" + b"a" * 64, b"/references/GolfSwing/0"], hostile_sites.get
    ),
    Parser(
        "gzip page",
        "page.gz",
        "packed",
        lambda: [gzip.compress(seeds.compact({"data": []}))],
        functools.partial(hostile_sites.read, "gzip"),
    ),
)
