"""What a crawl survives: the real Instaloader against the platform server of the tests, at the size of the paper.

    .venv/bin/python benchmarks/crawl_faults.py [--tags 20] [--posts 100] [--kills 100]

Part one: tags x posts in pages of 12, a burst of 429 on the pages and one half-way on the media, 5 % of the downloads
failing for good; the same command again; then 30 new posts and a planted gap. Part two: SIGKILL at random moments, each
followed by the same command; in the end catalog and media are compared with an undisturbed crawl's. Everything goes
over loopback; other hosts are refused.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FAULTS = ("500", "cut", "length", "expired", "disguised")
BURST = 5  # answers of 429 in a row


def publish(platform, tags: int, posts: int) -> list[str]:
    """Tags with posts, every twentieth of which cannot be downloaded; five posts of the first are held back."""
    from plusmv.core.actions import THUMOS14

    names = [action.name.casefold() for action in THUMOS14][:tags]
    for name in names:
        for clip in platform.publish(name, posts):
            clip.fault = FAULTS[clip.number // 20 % len(FAULTS)] if clip.number % 20 == 7 else ""
    for clip in platform.tags[names[0]][posts // 2 : posts // 2 + 5]:
        clip.hidden = True
    return names


def survive_faults(films: list[bytes], folder: Path, tags: int, posts: int) -> None:
    from tests.platform_server import PlatformServer
    from tests.platform_sites import Platform
    from tests.test_platform_crawl import crawled

    with PlatformServer(Platform(films), folder) as server:
        platform, session = server.platform, a_session(folder)
        names = publish(platform, tags, posts)
        arguments = ["--source", "instagram", *(part for name in names for part in ("--tag", name))]
        for what in ("first", "again", "30 new posts and a gap"):
            if what == "first":
                platform.switches.too_many, platform.switches.media_burst = BURST, (tags * posts // 2, BURST)
            if what.startswith("30"):
                platform.publish(names[0], 30)
                for clip in platform.tags[names[0]]:
                    clip.hidden = False
            server.forget()
            before = time.perf_counter()
            totals = crawled(server, session, folder / "home", *arguments)["totals"]
            told = " + ".join(f"{totals[name]} {name}" for name in list(totals)[1:] if totals[name])
            seconds, media = time.perf_counter() - before, sum(server.media_requests().values())
            assert (platform.switches.too_many, platform.switches.media_burst) == (0, (0, 0))
            asked = f"{server.requests('query_hash')} requests for pages, {media} for media"
            print(f"{what}: {totals['found']} found = {told}; {asked}, {seconds:.1f} s", flush=True)
        print(f"in the first: {BURST} times 429 for pages, {BURST} for media")
        print(f"hosts asked: {', '.join(sorted(server.hosts()))}; others refused: {server.refused or 'none'}")


def survive_kills(films: list[bytes], folder: Path, kills: int) -> None:
    from tests.platform_server import PlatformServer
    from tests.test_platform_crawl import KILLED, command, crawled, state_of, tags_to_kill, until

    session, moments, deaths = a_session(folder), random.Random(0), 0
    with PlatformServer(tags_to_kill(films), folder) as server:
        crawled(server, session, folder / "undisturbed", *KILLED)
    with PlatformServer(tags_to_kill(films), folder) as server:
        environment = server.environment(PLUSMV_INSTAGRAM_SESSION=str(session))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        for _ in range(kills):
            asked, wanted = len(server.log), moments.randint(0, 6)
            line = command(folder / "killed", "crawl", "--workers", "1", *KILLED)
            running = subprocess.Popen(line, cwd=ROOT, env=environment, **quiet)
            if moments.random() < 0.2:
                time.sleep(moments.uniform(0, 2))  # while it starts
            else:
                until(lambda asked=asked, wanted=wanted: len(server.log) >= asked + wanted, running)
                time.sleep(moments.uniform(0, 0.05))
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)
            deaths += running.wait() == -signal.SIGKILL
        crawled(server, session, folder / "killed", *KILLED)
        refused = server.refused
    equal = state_of(folder / "killed") == state_of(folder / "undisturbed")
    verdict = f"catalog and media {'equal' if equal else 'DIFFER FROM'} an undisturbed crawl's"
    print(f"{kills} times SIGKILL ({deaths} hit a running crawl): {verdict}; other hosts refused: {refused or 'none'}")


def a_session(folder: Path) -> Path:
    """Cookies as the platform server takes for a login."""
    file = folder / "session.json"
    file.write_text('{"sessionid": "s", "ds_user_id": "1", "csrftoken": "c"}')
    file.chmod(0o600)
    return file


def main() -> None:
    from tests.small_videos import make_video

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tags", type=int, default=20)
    parser.add_argument("--posts", type=int, default=100)
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        films = [make_video(folder / f"{seed}.mp4", seed, seconds=0.4).read_bytes() for seed in range(8)]
        if options.tags:
            survive_faults(films, folder, options.tags, options.posts)
        if options.kills:
            survive_kills(films, folder, options.kills)


if __name__ == "__main__":
    main()
