"""A small real workspace, made by running every stage once; what each stage starts from is kept as a snapshot.

The world always stands in one folder, since the catalog holds paths, and is put back there for each fault. With
PostgreSQL a snapshot is a database that new ones are copied from.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
from sqlalchemy import select
from sqlalchemy.engine import make_url

from plusmv.core.workspace import Workspace
from plusmv.db.models import Action, Clip, Post, Sighting
from plusmv.db.session import Catalog, open_catalog
from tests.browser import free_port
from tests.faults import page
from tests.faults.stages import STAGES, Stage
from tests.faults.starter import COMMAND, Running, Starter
from tests.platform_server import Answer, Asked, PlatformServer
from tests.platform_sites import Platform
from tests.small_videos import make_video

VERDICTS = ("keep", "mistagged", "keep", "unusable", "keep")
HANGS = 120.0  # seconds after which a command counts as hanging
ROOM = 64  # MiB of a disk that is not full


class CuttingServer(PlatformServer):
    """The platform server; `cut_in` counts down to the answer that ends in its middle."""

    cut_in = 0

    def answer(self, asked: Asked, body: bytes) -> Answer:
        made = super().answer(asked, body)
        self.cut_in -= 1
        if self.cut_in == 0 and made.body:
            made.cut = len(made.body) // 2
        return made


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it said."""

    code: int | None  # None: it hung, and was killed
    said: str


class World:
    """`with World(folder, database) as world:` makes it, which takes about a minute; database: a server's URL, or None.

    The stage at `place` is put before itself by `restore(place)`, and run by `start` or `run`.
    """

    def __init__(self, base: Path, database: str | None, say: Callable[[str], None] = lambda line: None):
        self.base, self.folder, self._server_url, self._say = base, base / "world", database, say
        self.home = self.folder / "home"
        self._stack = contextlib.ExitStack()
        self._pages: dict[int, page.Page] = {}
        self._outputs = 0
        self.seconds: list[float] = []  # of each stage, undisturbed
        self.grown: list[int] = []  # bytes that each stage adds
        self._mounted = False

    def __enter__(self) -> "World":
        with contextlib.ExitStack() as stack:
            self.folder.mkdir(parents=True)
            films = [make_video(self.base / f"{seed}.mp4", seed, seconds=0.4).read_bytes() for seed in range(2)]
            platform = Platform(films)
            platform.switches.page_size = 2
            self.posts = [f"instagram:{clip.code}" for clip in platform.publish("golfswing", 5)]
            self.server = stack.enter_context(CuttingServer(platform, self.base))
            self.starter = stack.enter_context(Starter())
            stack.callback(self._unmount)
            self._make_inputs()
            self._make_snapshots()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def database(self) -> str | None:
        """The URL of the catalog's database; None for the workspace's SQLite file."""
        return self._url("world") if self._server_url else None

    @contextlib.contextmanager
    def catalog(self) -> Iterator[Catalog]:
        opened = open_catalog(Workspace(self.home), self.database)
        try:
            yield opened
        finally:
            opened.close()

    def environment(self) -> dict[str, str]:
        """Of every command."""
        of_world = {
            "PLUSMV_HOME": "home",
            "PLUSMV_WEIGHTS": str(self.base / "weights"),
            "OMP_NUM_THREADS": "1",
            "PLUSMV_INSTAGRAM_SESSION": str(self.base / "session.json"),
            "PLUSMV_ANNOTATOR": page.ANNOTATOR,
            "MPLBACKEND": "agg",
        }
        return self.server.environment(**of_world, **({"PLUSMV_DB": self.database} if self.database else {}))

    def start(self, stage: Stage, *more: str, largest_file: int | None = None) -> Running:
        """Start a stage's command; for the page its server, with a page that sends decisions."""
        self._outputs += 1
        output = self.base / "output" / str(self._outputs)
        output.parent.mkdir(exist_ok=True)
        output.write_bytes(b"")  # there, even if a signal comes before the child has opened it
        if stage.arguments:
            filled = [part.replace("{kept}", self.posts[0]) for part in (*stage.arguments, *more)]
            return self.starter.start(filled, output, self.environment(), self.folder, COMMAND, largest_file)
        port = free_port()
        running = self.starter.start([str(port)], output, self.environment(), self.folder, page.SERVE, largest_file)
        self._pages[running.pid] = page.Page(port, self.home, self.entries, lambda: running.signal(15))
        self._pages[running.pid].start()
        return running

    def finish(self, running: Running) -> Finished:
        """Wait for a command to end; what hangs is killed. Nothing of it is left running."""
        code = running.wait(HANGS)
        running.signal(9, group=True)
        if running.pid in self._pages:
            self._pages.pop(running.pid).stop()
        return Finished(code, running.said())

    def run(self, stage: Stage, *more: str) -> Finished:
        return self.finish(self.start(stage, *more))

    def restore(self, place: int, room: int | None = None) -> None:
        """Put the world as it was before the stage at this place. room: bytes that are left on its disk."""
        self._unmount()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        snapshot = self.base / "snapshots" / str(place)
        if room is not None:
            used = sum(path.stat().st_size // 4096 * 4096 + 8192 for path in snapshot.rglob("*"))
            size = f"size={used + room}"
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.folder)], check=True)
            self._mounted = True
        shutil.copytree(snapshot, self.folder, dirs_exist_ok=True, symlinks=True)
        if self._server_url:
            self._copy_database(f"before_{place}", "world")
        self.server.cut_in = 0
        self.server.forget()

    def make_room(self) -> None:
        """The disk is not full any more."""
        if self._mounted:
            subprocess.run(["mount", "-o", f"remount,size={ROOM}m", str(self.folder)], check=True)

    def database_command(self, *statements: str) -> None:
        """Ask the server that holds the databases."""
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def _unmount(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
            self._mounted = False

    def _url(self, name: str) -> str:
        return make_url(self._server_url or "").set(database=name).render_as_string(hide_password=False)

    def _copy_database(self, source: str, name: str) -> None:
        self.database_command(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {source}"
        )

    def _make_snapshots(self) -> None:
        if self._server_url:
            self.database_command("DROP DATABASE IF EXISTS world WITH (FORCE)", "CREATE DATABASE world")
        self.home.mkdir()
        (self.home / "uploader.key").write_bytes(hashlib.sha256(b"a key").digest())
        (self.home / "uploader.key").chmod(0o600)
        with self.catalog():  # an empty catalog, with this key
            pass
        for place, stage in enumerate(STAGES):
            self._keep(place)
            if stage.name == "decide":
                self.entries = self._entries()
            before, size = time.monotonic(), self._size()
            ended = self.run(stage)
            if ended.code not in (0, 1, -15):
                raise RuntimeError(f"{stage.name} ends with {ended.code} undisturbed: {ended.said[-2000:]}")
            self.seconds.append(time.monotonic() - before)
            self.grown.append(max(0, self._size() - size))
            self._say(f"{stage.name}: {self.seconds[-1]:.1f} s undisturbed")

    def _keep(self, place: int) -> None:
        shutil.copytree(self.folder, self.base / "snapshots" / str(place), symlinks=True)
        if self._server_url:
            self._copy_database("world", f"before_{place}")

    def _size(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def _entries(self) -> list[dict]:
        """What the page sends: a verdict for each clip under each action, and the last one taken back."""
        with self.catalog() as catalog, catalog.reading() as session:
            found = select(Clip.id, Action.id, Action.name, Clip.sha256, Post.platform, Post.platform_id).distinct()
            found = found.join(Post, Post.clip_id == Clip.id).join(Sighting, Sighting.post_id == Post.id)
            rows = session.execute(found.join(Action, Action.id == Sighting.action_id)).all()
        rows = sorted(rows, key=lambda row: (f"{row[4]}:{row[5]}" != self.posts[0], row[2], row[3]))
        entries, seen = [], set()
        for clip, action, name, sha256, *_ in rows:
            if (clip, action) not in seen:
                verdict = VERDICTS[len(entries) % len(VERDICTS)]
                entries.append(
                    {
                        "id": page.request_id(name + sha256),
                        "clip": clip,
                        "action": action,
                        "verdict": verdict,
                        "seconds": 2.0,
                    }
                )
                seen.add((clip, action))
        return [*entries, {"id": page.request_id("undo"), "undo": entries[-1]["id"]}]

    def _make_inputs(self) -> None:
        """Clips under tags with a sidecar, a benchmark's video that holds a clip, annotations, published features."""
        clips = self.folder / "clips"
        for number, tag in enumerate(("golfswing", "diving")):
            make_video(clips / tag / f"{tag}.mp4", seed=10 + number, seconds=1.0)
        make_video(clips / "diving" / "again.mp4", seed=10, seconds=1.0, size=(96, 72))
        sidecar = {"id": "dQw4", "extractor_key": "Youtube", "title": "swing", "channel_id": "U", "duration": 1}
        (clips / "golfswing" / "golfswing.info.json").write_text(json.dumps(sidecar))
        make_video(self.folder / "benchmark" / "video_1.mp4", seed=11, seconds=1.4)
        draws, database = np.random.default_rng(0), {}
        (self.folder / "published").mkdir()
        for number in range(6):
            name, label = f"video_{number}", ("GolfSwing", "Diving")[number % 2]
            annotations = [{"label": label, "segment": [1.0, 3.0]}]
            database[name] = {
                "subset": "test" if number > 3 else "validation",
                "duration": 6.4,
                "fps": 25.0,
                "annotations": annotations,
            }
            np.savez(
                self.folder / "published" / f"{name}.npz",
                rgb=draws.random((10, 1024), np.float32) + (number % 2),
                flow=draws.random((10, 1024), np.float32),
            )
        (self.folder / "annotations.json").write_text(json.dumps({"database": database}))
        session = self.base / "session.json"
        session.write_text('{"sessionid": "s", "ds_user_id": "1", "csrftoken": "c"}')
        session.chmod(0o600)


def may_mount() -> bool:
    """Whether a small disk can be made of memory, which then gets full for real."""
    return os.geteuid() == 0 and shutil.which("mount") is not None
