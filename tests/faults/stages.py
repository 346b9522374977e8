"""The stages of a small real run, each the command line that a user would type, in their order.

A stage starts from what the ones before it left (tests.faults.world keeps that as snapshots). `flips`: which files of
those it reads may be damaged before it: those that carry a checksum, so that damage can be known for what it is.
"""

from dataclasses import dataclass

FEATURES, MEDIA = "home/features/*.safetensors", "home/media/*/*.mp4"
SHARDS, IMPORTED = "home/features/shards/*.safetensors", "imported/*.safetensors"
RUN = "home/runs/small/*.safetensors"


@dataclass(frozen=True)
class Stage:
    """weight: how often a fault meets this stage. network: it asks the platform server, whose answers can be cut."""

    name: str
    arguments: tuple[str, ...]  # [] for the page, whose process serves the labeler's routes
    weight: float = 1.0
    network: bool = False
    catalog: bool = True
    flips: tuple[str, ...] = ()


def _stage(name: str, line: str, **facts) -> Stage:
    return Stage(name, tuple(line.split()), **facts)


TRAINING = "--annotations annotations.json --features imported --streams rgb"
STAGES = (
    _stage("crawl", "crawl --source folder --path clips --workers 1"),
    _stage(
        "crawl a platform", "crawl --source instagram --tag golfswing --pause 0 --workers 1", weight=2, network=True
    ),
    _stage("dedup", "dedup --workers 1", flips=(MEDIA,)),
    _stage("leaks", "leaks --videos benchmark --annotations annotations.json --workers 1"),
    _stage("previews", "previews --workers 1", flips=(MEDIA,)),
    _stage("decide", "", weight=2),
    _stage("extract", "extract --streams rgb --random-weights --workers 1", weight=0.7, flips=(MEDIA,)),
    _stage("rank", "rank", flips=(FEATURES,)),
    _stage("import", "features import --from published --to imported", catalog=False),
    _stage("compact", "features compact --features home/features --clips 2", catalog=False, flips=(FEATURES,)),
    _stage(
        "export features",
        "features export --features home/features --to exported --layout npz",
        catalog=False,
        flips=(SHARDS,),
    ),
    _stage("export", "export --allow-leaks"),
    _stage(
        "train",
        f"train {TRAINING} --subset validation --mv --run small --steps 30 --workers 1",
        catalog=False,
        flips=(SHARDS, IMPORTED),
    ),
    _stage(
        "detect",
        f"detect {TRAINING.partition(' --streams')[0]} --subset test --run small --out detections.json",
        catalog=False,
        flips=(IMPORTED, RUN),
    ),
    _stage("takedown", "takedown --post {kept}", weight=2),
    _stage("recheck", "recheck --pause 0", network=True),
)
NAMES = tuple(stage.name for stage in STAGES)
