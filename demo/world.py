"""The rendered world: a small benchmark with known segments and a folder of tagged microvideos with known faults.

`render_world(folder, settings)` writes
    videos/<id>.mp4, annotations.json     untrimmed videos, subsets "validation" (training) and "test", ActivityNet JSON
    clips/<tag>/*.mp4, clips/manifest.csv microvideos as `plusmv crawl --source folder` reads them
    truth.csv                             what each microvideo is: the known truth, standing in for the curator
Equal settings give equal pictures; files that are there already are kept, so a stopped rendering goes on.
"""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from plusmv.core.actions import THUMOS14
from plusmv.core.annotations import AnnotatedVideo, Instance, write_annotations
from plusmv.core.errors import Refused
from plusmv.core.workers import map_unordered
from plusmv.core.workspace import atomic_path, write_bytes, write_json
from plusmv.demo.filming import COPIES, VideoPlan, film, write_copy, write_video
from plusmv.demo.shots import FPS, plan_shots, segments

ACTIONS = ("GolfSwing", "CleanAndJerk", "HighJump", "JavelinThrow")
TAGS = {action.name: action.tags[0] for action in THUMOS14 if action.name in ACTIONS}
TRUTH = ("file", "tag", "action", "verdict", "of", "how", "shows")
MANIFEST = ("file", "tag", "platform", "platform_id", "uploader", "caption", "taken_at", "url", "licence")


@dataclass(frozen=True)
class WorldSettings:
    """Sizes of the world; the defaults are the demo's, chosen so that all of it fits into minutes on two cores."""

    training_videos: int = 12
    test_videos: int = 12
    seconds: tuple[float, float] = (12.0, 14.5)  # of an untrimmed video
    instances: tuple[int, int] = (2, 3)  # of the action in an untrimmed video, as far as they fit
    microvideos: int = 3  # per tag, right and not repeated: what is to be kept
    copies: int = 3  # per tag
    mistagged: int = 3  # per tag
    uneven: int = 1  # so many clips more or fewer of a kind from tag to tag; the paper's retention is 15 to 89 %
    microvideo_seconds: tuple[float, float] = (6.0, 6.8)  # the paper's are 6 to 15 s long
    seed: int = 0


TINY = WorldSettings(4, 2, (6.0, 7.0), (1, 1), 1, 2, 2, 0, (6.0, 6.0))  # for tests


@dataclass(frozen=True)
class Microvideo:
    """One microvideo and the truth about it."""

    file: str  # below clips/
    tag: str
    action: str  # that the tag stands for
    verdict: str  # keep, mistagged or duplicate; "" for a file that cannot be read
    how: str  # original, one of COPIES, exact, another action, scenery only, broken
    shows: str  # the action that happens in it, or ""
    of: str = ""  # of a duplicate: the original's file
    plan: VideoPlan | None = None  # None where it is made from `of`


@dataclass(frozen=True)
class World:
    """Everything to be rendered: plans of the untrimmed videos by id, and the microvideos."""

    videos: dict[str, VideoPlan]
    microvideos: tuple[Microvideo, ...]


RenderTask = tuple[Path, VideoPlan | tuple[Path, str]]


class RenderStage:
    """One file, written whole; what is there already stays. Tasks: (path, VideoPlan) or (path, (source, kind))."""

    def setup(self) -> None:
        import cv2

        cv2.setNumThreads(1)

    def process(self, task: RenderTask) -> str:
        path, recipe = task
        if path.exists():
            return "there"
        if isinstance(recipe, VideoPlan):
            write_video(path, film(recipe))
        elif recipe[1] in COPIES:
            write_copy(*recipe[:1], path, recipe[1])
        else:
            _write_bytes_of(*recipe, path)
        return "rendered"


def plan_world(settings: WorldSettings) -> World:
    """Decide everything that will be rendered, from the seed alone."""
    rng = np.random.default_rng(settings.seed)
    videos = {}
    for subset, count in (("validation", settings.training_videos), ("test", settings.test_videos)):
        for index in range(count):
            action = ACTIONS[index % len(ACTIONS)]
            wanted = int(rng.integers(settings.instances[0], settings.instances[1] + 1))
            videos[f"rendered_{subset}_{index + 1:04d}"] = _plan(rng, action, action, settings.seconds, wanted)
    microvideos = [clip for index in range(len(ACTIONS)) for clip in _plan_tag(rng, settings, index)]
    first = microvideos[0]
    tag, action = first.tag, first.action
    microvideos += [
        Microvideo(f"{tag}/{tag}_repost.mp4", tag, action, "duplicate", "exact", action, first.file),
        Microvideo(f"{tag}/{tag}_broken.mp4", tag, action, "", "broken", "", first.file),
    ]
    return World(videos, tuple(microvideos))


def render_world(folder: Path, settings: WorldSettings, workers: int | None = None) -> Iterator[str]:
    """Render what is missing and write the lists; yields "rendered" or "there" for each file.

    Raises Refused where the folder holds a world of other settings, and RuntimeError where a file cannot be made.
    """
    _claim(folder, settings)
    world = plan_world(settings)
    first: list[RenderTask] = [(folder / "videos" / f"{video}.mp4", plan) for video, plan in world.videos.items()]
    first += [(folder / "clips" / clip.file, clip.plan) for clip in world.microvideos if clip.plan]
    copied: list[RenderTask] = [
        (folder / "clips" / clip.file, (folder / "clips" / clip.of, clip.how))
        for clip in world.microvideos
        if not clip.plan
    ]
    for tasks in (first, copied):
        for outcome in map_unordered(RenderStage(), tasks, workers=workers):
            if outcome.value is None:
                raise RuntimeError(f"cannot render {outcome.task[0]}: {outcome.error}")
            yield outcome.value
    _write_lists(folder, world)


def read_truth(folder: Path) -> list[dict[str, str]]:
    """The rows of truth.csv."""
    with open(folder / "truth.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _plan(
    rng: np.random.Generator, scene: str, action: str, seconds: tuple, instances: int, empty: bool = False
) -> VideoPlan:
    frames = round(rng.uniform(*seconds) * FPS)
    return VideoPlan(scene, plan_shots(rng, action, frames, instances, empty), int(rng.integers(2**31)))


def _plan_tag(rng: np.random.Generator, settings: WorldSettings, index: int) -> list[Microvideo]:
    """The microvideos under one tag: originals, copies of them, and clips that do not show the action."""
    action, length = ACTIONS[index], settings.microvideo_seconds
    tag, names = TAGS[action], (f"{TAGS[action]}/{TAGS[action]}_{number:02d}.mp4" for number in range(1, 1000))
    more = settings.uneven * (0, 1, -1, 0)[index % 4]
    clips = [
        Microvideo(
            next(names), tag, action, "keep", "original", action, plan=_plan(rng, action, action, length, 1 + n % 2)
        )
        for n in range(settings.microvideos + more)
    ]
    for number in range(settings.copies + more):
        original, kind = clips[number % (settings.microvideos + more)], COPIES[(number + index) % len(COPIES)]
        clips.append(Microvideo(next(names), tag, action, "duplicate", kind, action, original.file))
    for number in range(settings.mistagged - 2 * more):
        if number % 2:
            plan = _plan(rng, action, action, length, 0, empty=bool(rng.random() < 0.4))
            clips.append(Microvideo(next(names), tag, action, "mistagged", "scenery only", "", plan=plan))
        else:
            shown = ACTIONS[(index + 1 + (number // 2 + index) % 3) % len(ACTIONS)]
            plan = _plan(rng, shown, shown, length, 1)
            clips.append(Microvideo(next(names), tag, action, "mistagged", "another action", shown, plan=plan))
    return clips


def _claim(folder: Path, settings: WorldSettings) -> None:
    """Note the settings in the folder, which belongs to them from now on."""
    noted, mine = folder / "world.json", json.loads(json.dumps(asdict(settings)))
    if noted.exists() and json.loads(noted.read_text()) != mine:
        raise Refused(f"{folder} holds a world of other settings; give another folder with --home, or remove this one")
    write_json(noted, mine)


def _write_lists(folder: Path, world: World) -> None:
    write_annotations(
        folder / "annotations.json",
        [
            AnnotatedVideo(video, video.split("_")[1], plan.frames / FPS, float(FPS),
                           tuple(Instance(plan.scene, *segment) for segment in segments(plan.shots)))
            for video, plan in world.videos.items()
        ],
        version="plusmv demo: rendered data",
    )  # fmt: skip
    _write_csv(folder / "truth.csv", TRUTH, [[getattr(clip, column) for column in TRUTH] for clip in world.microvideos])
    rows = [
        [clip.file, clip.tag, "rendered", f"r{number:04d}", f"actor{number % 7}", f"#{clip.tag} (rendered)",
         f"2019-{1 + number % 12:02d}-{1 + number % 28:02d}T12:00:00Z", f"https://example.invalid/p/r{number:04d}",
         "MIT"]
        for number, clip in enumerate(world.microvideos, start=1)
    ]  # fmt: skip
    _write_csv(folder / "clips" / "manifest.csv", MANIFEST, rows)


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_bytes(path, text.getvalue().encode())


def _write_bytes_of(source: Path, kind: str, path: Path) -> None:
    """A byte-identical copy, or, for "broken", a file that ends too early."""
    with atomic_path(path) as part:
        shutil.copyfile(source, part)
        if kind == "broken":
            with open(part, "r+b") as file:
                file.truncate(source.stat().st_size // 3)
