"""How fast posts are taken in: a JSONL manifest without media against bare sqlite3 executemany of the same rows.

    .venv/bin/python benchmarks/crawl.py [--posts 1000000]

Both write the same rows into the same tables and indexes (a catalog made by the migrations), one after the other, in
one process each. Prints the ratio of the two speeds, and the crawl's peak memory at a tenth and at all of the posts.
"""

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TAGS = ("golfswing", "diving", "highjump", "javelin")
BATCH = 10_000  # rows of one executemany


def write_manifest(path: Path, posts: int) -> None:
    """Posts with everything that a manifest can say."""
    with open(path, "w", encoding="utf-8") as file:
        for number in range(posts):
            file.write(json.dumps({
                "file": f"{number // 1000:04d}/{number:07d}.mp4", "tag": TAGS[number % len(TAGS)],
                "platform": "instagram", "platform_id": f"C{number:010d}", "uploader": str(7_000_000 + number % 9973),
                "caption": f"look at this swing no {number} #{TAGS[number % len(TAGS)]}", "licence": "unknown",
                "taken_at": "2019-10-27T09:00:00Z", "url": f"https://www.instagram.com/p/C{number:010d}/",
            }) + "\n")  # fmt: skip


def crawl(folder: Path, manifest: Path, home: Path) -> tuple[float, float]:
    """(seconds of the command, its peak memory in MB)."""
    command = ["-m", "plusmv", "crawl", "--path", str(folder), "--manifest", str(manifest), "--metadata-only", "--json"]
    before = time.perf_counter()
    command = [sys.executable, __file__, "--measured", *command, "--home", str(home)]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - before
    result, _, peak = shown.stdout.rpartition("peak ")
    totals = json.loads(result)["totals"]
    assert totals["found"] == totals["downloaded"], totals
    return seconds, float(peak)


def measured(command: list[str]) -> None:
    """Run the command in this process, then print its peak memory."""
    import runpy

    sys.argv = command[1:]
    try:
        runpy.run_module("plusmv", run_name="__main__")
    except SystemExit as end:
        assert not end.code, end.code
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}")


def bare(made: Path, empty: Path) -> float:
    """Seconds that sqlite3 takes for the rows of the catalog `made`, read beforehand, into the catalog `empty`."""
    source = sqlite3.connect(made)
    rows = {table: source.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in ("posts", "sightings")}
    target = sqlite3.connect(empty, isolation_level=None)
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"):
        target.execute(f"PRAGMA {pragma}")
    for table in ("actions", "action_tags", "crawl_runs"):
        for row in source.execute(f"SELECT * FROM {table}"):
            target.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
    before = time.perf_counter()
    for start in range(0, len(rows["posts"]), BATCH):
        target.execute("BEGIN IMMEDIATE")
        for table, values in rows.items():
            some = values[start : start + BATCH]
            target.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(some[0]))})", some)
        target.execute("COMMIT")
    return time.perf_counter() - before


def main() -> None:
    from plusmv.core.workspace import Workspace
    from plusmv.db.session import open_catalog

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posts", type=int, default=1_000_000)
    posts = parser.parse_args().posts
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_manifest(folder / "tenth.jsonl", posts // 10)
        _, small = crawl(folder, folder / "tenth.jsonl", folder / "tenth")
        write_manifest(folder / "all.jsonl", posts)
        seconds, peak = crawl(folder, folder / "all.jsonl", folder / "all")
        open_catalog(Workspace(folder / "bare")).close()
        yardstick = bare(folder / "all" / "catalog.db", folder / "bare" / "catalog.db")
    print(f"{posts} posts: crawl {seconds:.1f} s, {posts / seconds:.0f} posts a second; bare sqlite3 {yardstick:.1f} s")
    print(f"ratio of the speeds {yardstick / seconds:.3f}; peak memory {small:.0f} MB at a tenth, {peak:.0f} MB at all")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measured"]:
        measured(sys.argv[2:])
    else:
        main()
