"""The labeler in a real browser: keys, bursts, kill -9, a grid of films, two people at once, a million clips.

    .venv/bin/python benchmarks/labeler.py [--clips 2000] [--million 1000000] [--db postgresql://...] [--only keys,grid]

Clips are the real ones of ../shared/clips, where they are at hand, and generated ones. A press is timed in the browser,
from the key to the next clip decoded and shown; --db puts the million clips on a PostgreSQL server.
"""

import argparse
import multiprocessing
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from plusmv.core.actions import THUMOS14
from plusmv.core.workspace import Workspace
from plusmv.curate.report.agreement import agreement
from plusmv.curate.review import cards
from plusmv.curate.review.queue import Cursor, QueueFilter, next_batch
from plusmv.db.models import CrawlRun
from plusmv.db.queries import save_actions
from plusmv.db.session import Catalog, open_catalog
from tests.browser import SWITCHES, Page, chromium, decided, serving, wait_until
from tests.moving_scenes import scene, write
from tests.test_labeler import add_clip, judged

ROOT = Path(__file__).resolve().parents[1]

PRESSES, BURST = 200, 100
TIME_KEYS = """() => {
  const root = [...document.querySelectorAll("*")].map((e) => e.shadowRoot?.querySelector(".plusmv")).find(Boolean);
  window.times = []; window.seen = []; window.waits = [];
  let pressed = null;
  const ready = () => {
    if (pressed === null || !(root.querySelector("video.on")?.readyState >= 2)) return;
    window.times.push(performance.now() - pressed);
    pressed = null;
  };
  root.addEventListener("loadeddata", ready, true);
  new MutationObserver(ready).observe(root, { attributes: true, attributeFilter: ["data-shown"] });
  window.addEventListener("keydown", (event) => {
    window.seen.push(root.dataset.shown);
    window.waits.push(performance.now() - event.timeStamp);
    pressed = event.timeStamp;
  }, true);
}"""
PENDING = "Object.keys(localStorage).filter((key) => key.startsWith('plusmv plusmv_')).length"
COUNT_FRAMES = """async (root) => {
  const films = [...root.querySelectorAll("figure video")];
  const before = films.map((film) => film.getVideoPlaybackQuality());
  const began = performance.now();
  await new Promise((done) => setTimeout(done, 5000));
  const seconds = (performance.now() - began) / 1000;
  return films.map((film, at) => {
    const now = film.getVideoPlaybackQuality();
    const total = now.totalVideoFrames - before[at].totalVideoFrames;
    return (total - (now.droppedVideoFrames - before[at].droppedVideoFrames)) / seconds;
  });
}"""
ALL_PLAY = (
    "root => [...root.querySelectorAll('figure video')].every(v => v.readyState >= 2 && !v.paused && v.currentTime > 0)"
)


def generate(task: tuple[int, str]) -> Path:
    seed, folder = task
    return write(Path(folder) / f"{seed}.mp4", scene(seed, seed + 10_000, 2.0))


def fill(workspace: Workspace, count: int) -> None:
    """Real clips by a crawl, and generated ones of 2 s under GolfSwing."""
    real = ROOT.parent / "shared" / "clips"
    if real.is_dir():
        plusmv(workspace, "crawl", "--source", "folder", "--path", str(real))
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool() as pool:
        made = pool.map(generate, [(seed, folder) for seed in range(count)], chunksize=20)
        catalog = open_catalog(workspace)
        with catalog.writing() as session:
            golf = save_actions(session, [next(a for a in THUMOS14 if a.name == "GolfSwing")])["GolfSwing"]
            for path in made:
                content = path.read_bytes()
                media = workspace.media(sha256(content), ".mp4")
                media.parent.mkdir(parents=True, exist_ok=True)
                path.rename(media)
                add_clip(session, golf, media.stem, size=len(content))


def sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def plusmv(workspace: Workspace, *arguments: str) -> None:
    command = [sys.executable, "-m", "plusmv", "--home", str(workspace.home), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def keys(browser, workspace: Workspace) -> None:
    before = len(judged(workspace))
    with serving(workspace.home) as (server, port):
        page = Page(browser, port).open()
        page.tab.evaluate(TIME_KEYS)
        for number in range(PRESSES):
            page.tab.keyboard.press("kmdu"[number % 4])
            time.sleep(0.3)
        times = sorted(page.tab.evaluate("window.times"))
        waits = statistics.median(page.tab.evaluate("window.waits"))
        print(f"key to next clip ready, {len(times)} presses: median {statistics.median(times):.1f} ms, "
              f"95th percentile {times[int(0.95 * len(times))]:.1f} ms "
              f"({waits:.1f} ms pass before the page hears of it)", flush=True)  # fmt: skip
        page.tab.evaluate("window.seen = []")
        for number in range(BURST):
            page.tab.keyboard.press("km"[number % 2])
            time.sleep(0.05)
        seen = page.tab.evaluate("window.seen")
        page.acknowledged()
        rows = decided(workspace)[before + PRESSES :]
        right = [row[0] for row in rows] == seen
        print(f"{BURST} presses 50 ms apart: {len(rows)} decisions, each on the clip on screen: {right}", flush=True)
        for _ in range(30):
            page.tab.keyboard.press("k")
        server.kill()
        server.wait()
        kept = len(judged(workspace)) - before
        acknowledged = PRESSES + BURST + 30 - page.tab.evaluate(PENDING)
    with serving(workspace.home, port=port):
        page.acknowledged()
        page.tab.close()
    total = len(judged(workspace)) - before
    print(f"kill -9: {acknowledged} acknowledged before, {kept} in the catalog after; "
          f"{total} of {PRESSES + BURST + 30} once the server is back", flush=True)  # fmt: skip


def grid(browser, workspace: Workspace) -> None:
    plusmv(workspace, "previews")
    with serving(workspace.home) as (_, port):
        page = Page(browser, port, "grid").open()
        wait_until(lambda: page.root.evaluate(ALL_PLAY), "24 films play", 60)
        rates = page.root.evaluate(COUNT_FRAMES)
        turns = []
        for _ in range(10):
            time.sleep(2)
            shown, began = page.page(), time.perf_counter()
            page.tab.keyboard.press("Enter")
            wait_until(
                lambda shown=shown: page.page() != shown and page.root.evaluate(ALL_PLAY), "the next 24 play", 60
            )
            turns.append(time.perf_counter() - began)
        page.acknowledged()
        page.tab.close()
    print(f"grid of {len(rates)}: {statistics.mean(rates):.1f} frames/s a film (least {min(rates):.1f}; films have 25)")
    print(
        f"accepted page to next 24 playing, 10 pages: median {statistics.median(turns):.2f} s, most {max(turns):.2f} s"
    )


def two_people(browser, folder: Path, clips: int = 500) -> None:
    """Both know the truth and err in a tenth of the clips; a fifth is judged twice."""
    workspace = Workspace(folder / "two")
    fill(workspace, clips)
    with (
        serving(workspace.home, "ann", overlap=0.2) as (_, port),
        serving(workspace.home, "bob", overlap=0.2) as (_, other),
    ):
        pages = {"ann": Page(browser, port).open(), "bob": Page(browser, other).open()}
        idle, pressed = 0, []
        while idle < 200:
            idle += 1
            for name, page in pages.items():
                shown = page.shown()
                if shown:
                    idle = 0
                    good = (int(shown[:8], 16) % 2 == 0) ^ (random.Random(f"{shown} {name}").random() < 0.1)
                    page.tab.keyboard.press("k" if good else "m")
                    pressed.append((shown, "keep" if good else "mistagged", name))
            time.sleep(0.05)
        for page in pages.values():
            page.acknowledged()
            page.tab.close()
    rows = decided(workspace, "sha256, verdict, annotator")
    print(f"two people: {len(pressed)} presses, {len(rows)} decisions, as pressed: {sorted(rows) == sorted(pressed)}")
    judges: dict[str, list[str]] = {}
    for clip, _, annotator in rows:
        judges.setdefault(clip, []).append(annotator)
    twice = [names for names in judges.values() if len(names) > 1]
    with open_catalog(workspace).reading() as session:
        told = agreement(session)["all"]
    print(f"two people: {len(judges)} clips decided, {len(twice)} of them twice as asked, "
          f"{sum(len(set(names)) < len(names) or len(names) > 2 for names in twice)} otherwise; "
          f"{told['words']}", flush=True)  # fmt: skip


def million(browser, folder: Path, count: int, url: str | None) -> None:
    workspace = Workspace(folder / "million")
    catalog = open_catalog(workspace, url)
    fill_by_sql(catalog, count)
    waits, place = [], Cursor()
    for _ in range(50):
        began = time.perf_counter()
        with catalog.writing() as session:
            pairs, place = next_batch(session, QueueFilter("ann"), 24, place)
            cards.cards(session, pairs)
        waits.append(1000 * (time.perf_counter() - began))
    small = Workspace(folder / "thousand")
    fill_by_sql(open_catalog(small), 1000)
    floor, _ = first_page(browser, small, None)
    first, memory = first_page(browser, workspace, url)
    cold, *then = waits
    print(f"{count:,} clips on {catalog.engine.dialect.name}: first page in a new browser {first:.1f} s (of a thousand "
          f"clips {floor:.1f} s); server memory {memory:.0f} MB; next page of work, median "
          f"{statistics.median(then):.0f} ms, most {max(then):.0f} ms (the very first {cold:.0f} ms)")  # fmt: skip


def first_page(browser, workspace: Workspace, url: str | None) -> tuple[float, float]:
    """Seconds to the first clip shown, nothing cached; and the server's MB after 100 more clips."""
    with serving(workspace.home, "bob", db=url) as (server, port):
        began = time.perf_counter()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator(".plusmv[data-shown]:not([data-shown=''])").wait_for(timeout=120_000)
        first = time.perf_counter() - began
        for _ in range(100):
            page.keyboard.press("k")
            time.sleep(0.1)
        memory = resident(server.pid)
        page.close()
    return first, memory


def resident(pid: int) -> float:
    """MB of a process that never were more."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def fill_by_sql(catalog: Catalog, count: int) -> None:
    """Clips, posts, sightings under 20 actions, suspicion for half of them, a fifth decided."""
    postgres = catalog.engine.dialect.name == "postgresql"
    sha = "md5(i::text) || md5((i + 7)::text)" if postgres else "lower(hex(randomblob(32)))"
    score = "random()" if postgres else "abs(random() % 1000000) / 1e6"
    no, name = ("false", "i::text") if postgres else ("0", "cast(i AS text)")
    day = "'2026-01-01 00:00:00'"
    rows = {
        "clips (id, sha256, suffix, bytes, duration, state, added_at)": f"i, {sha}, '.mp4', 100000, 8, 'done', {day}",
        "posts (id, platform, platform_id, identity, caption, licence, found_at, state, retryable, clip_id)":
            f"i, 'instagram', {name}, '', 'a caption', 'unknown', {day}, 'downloaded', {no}, i",
        "sightings (post_id, action_id, tag, run_id, found_at)": f"i, 1 + i % 20, 'tag', 1, {day}",
        "suspicion_scores (clip_id, action_id, signal, score, scored_at)":
            f"i, 1 + i % 20, 'combined', {score}, {day}",
        "decisions (clip_id, action_id, verdict, reason, annotator, seconds, decided_at)":
            f"i, 1 + i % 20, 'keep', '', 'cat', 1.5, {day}",
    }  # fmt: skip
    only = {"suspicion": "WHERE i % 20 < 10", "decisions": f"WHERE i <= {count // 5}"}
    with catalog.writing() as session:
        save_actions(session, THUMOS14)
        session.add(CrawlRun(id=1, source="folder", tag="tag", action_id=1))
        session.flush()
        for table, columns in rows.items():
            numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
            which = next((words for start, words in only.items() if table.startswith(start)), "")
            session.execute(text(f"INSERT INTO {table} {numbers} SELECT {columns} FROM n {which}"))
    if postgres:
        with catalog.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--million", type=int, default=1_000_000)
    parser.add_argument("--db", help="PostgreSQL for the million clips")
    parser.add_argument("--only", default="keys,grid,two,million")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(SWITCHES))
        workspace = Workspace(Path(folder) / "home")
        if {"keys", "grid"} & set(parts):
            fill(workspace, asked.clips)
        if "keys" in parts:
            keys(browser, workspace)
        if "grid" in parts:
            grid(browser, workspace)
        if "two" in parts:
            two_people(browser, Path(folder))
        if "million" in parts:
            million(browser, Path(folder), asked.million, asked.db)
        browser.close()


if __name__ == "__main__":
    main()
