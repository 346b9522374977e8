"""The commands about duplicates: dedup and leaks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from plusmv.core.commandline import (
    HOME,
    Database,
    Home,
    Json,
    RetryFailed,
    Workers,
    conclude,
    counts,
    emit,
    say,
    say_failures,
    table,
    track,
)
from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace
from plusmv.curate.duplicates.limits import SHORTEST_S

if TYPE_CHECKING:
    from plusmv.curate.duplicates.detect import ClipNames

app = typer.Typer(rich_markup_mode=None)
Engine = Annotated[Literal["numpy", "faiss"], typer.Option(help="Search engine for the hashes; results are the same.")]

DEDUP_HELP = f"""Fingerprint what is new, and find exact and near duplicates among all clips. Nothing is removed.

exact: the same pictures. copy: edited from the other. part: lies in the other. shared: something is in both, such as an
intro or an end card, and neither lies in the other. same-scene: another moment. Parts and what is shared are found from
{SHORTEST_S:g} seconds on. Sure copies are grouped, the one to keep first: longest, then resolution x bitrate,
unmirrored, earliest.
"""


@app.command(help=DEDUP_HELP)
def dedup(
    not_duplicate: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--not-duplicate", help="Record that two clips (sha256 or post id) are not duplicates; not shown again."
        ),
    ] = None,
    duplicate: Annotated[
        tuple[str, str] | None, typer.Option("--duplicate", help="Group two clips whose pair was found or ruled out.")
    ] = None,
    keep_this: Annotated[
        str | None, typer.Option("--keep-this", help="The clip that represents its group, overriding the rule.")
    ] = None,
    annotator: Annotated[str | None, typer.Option(help="Who decides this (default: the login name).")] = None,
    i3d: Annotated[
        bool, typer.Option("--i3d", help="Also compare clips whose I3D features are near (plusmv extract makes them).")
    ] = False,
    engine: Engine = "numpy",
    retry_failed: RetryFailed = False,
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Find duplicates: DEDUP_HELP."""
    import getpass

    from plusmv.curate.duplicates.detect import find_duplicates
    from plusmv.curate.duplicates.rulings import rule
    from plusmv.db.models import RulingKind
    from plusmv.db.session import open_catalog

    workspace = Workspace(home)
    catalog = open_catalog(workspace, db)
    given: dict[RulingKind, tuple[str, ...] | None] = {
        RulingKind.NOT_DUPLICATE: not_duplicate,
        RulingKind.DUPLICATE: duplicate,
        RulingKind.KEEP_THIS: None if keep_this is None else (keep_this,),
    }
    with catalog.writing() as session:
        for kind, names in given.items():
            if names is not None:
                rule(session, kind, names, annotator or getpass.getuser())
    result = find_duplicates(catalog, workspace, workers, retry_failed, track, engine, say, i3d)
    columns = ("a", "b", "kind", "offset_s", "speed", "mirror", "turn", "score", "overlap_s")
    rows = [[_named(pair["a"]), _named(pair["b"]), *map(pair.get, columns[2:])] for pair in result["pairs"]]
    lines = [f"{len(result['pairs'])} pairs, {len(result['groups'])} groups"]
    unmatched = result["unmatched"]
    for why, clips in (("static", unmatched["static"]), ("featureless", unmatched["featureless"])):
        if clips:
            lines.append(f"{why}: {len(clips)} clips that no hash can match")
    for across in result["across_actions"]:
        lines.append(
            f"{across['kind']}: {', '.join(sha[:12] for sha in across['clips'])}: {', '.join(across['actions'])}"
        )
    sums = counts(result, ("clips", "fingerprinted", "skipped", "failed"))
    emit(result, as_json, [table("duplicates", columns, rows), sums, *lines])
    say_failures([(_named(failure), failure["reason"]) for failure in result["failures"]], "--retry-failed")
    conclude({"done": result["fingerprinted"], "skipped": result["skipped"], "failed": result["failed"]}, "clips")


@app.command()
def leaks(
    videos: Annotated[Path | None, typer.Option(help="The folder of a benchmark's videos.")] = None,
    annotations: Annotated[Path | None, typer.Option(help="ActivityNet JSON that says each video's subset.")] = None,
    hashes: Annotated[Path | None, typer.Option(help="A hash file, instead of the videos.")] = None,
    write_hashes: Annotated[Path | None, typer.Option(help="Write the known videos' hash file, to be shared.")] = None,
    training: Annotated[
        str, typer.Option(help="Subsets that are trained on, by commas; all others, unknown ones too, are test.")
    ] = "training,train,validation",
    engine: Engine = "numpy",
    retry_failed: RetryFailed = False,
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Find clips that stand in a benchmark's videos, of training and of test. A test leak blocks plusmv export.

    Without --videos or --hashes, new clips are compared with the videos that are known.
    """
    from plusmv.curate.duplicates import leaks as finding
    from plusmv.curate.duplicates.benchmark_videos import index_videos, read_hash_file, videos_in, write_hash_file
    from plusmv.curate.duplicates.detect import clips_to_fingerprint, fingerprint_new
    from plusmv.db.session import open_catalog

    if annotations is not None and videos is None:
        raise BadInput("--annotations says the subsets of --videos; name their folder")
    workspace, subsets = Workspace(home), [name.strip() for name in training.split(",")]
    catalog = open_catalog(workspace, db)
    done = dict.fromkeys(("fingerprinted", "skipped", "failed"), 0)
    if videos is not None:
        done = index_videos(catalog, videos_in(videos, annotations), subsets, retry_failed, workers, track)
    if hashes is not None:
        done = {name: done[name] + count for name, count in read_hash_file(catalog, hashes, subsets).items()}
    if write_hashes is not None:
        say(f"{write_hash_file(catalog, write_hashes)} videos in {write_hashes}")
    with catalog.reading() as session:
        tasks = clips_to_fingerprint(session, workspace, retry_failed)
    failed = [
        outcome
        for outcome in track(fingerprint_new(catalog, tasks, workers), len(tasks), "fingerprinting")
        if outcome.error
    ]
    finding.find_leaks(catalog, workspace, engine, track, say)
    with catalog.reading() as session:
        result = finding.result(
            session,
            {
                "videos": sum(done.values()),
                "fingerprinted": done["fingerprinted"],
                "skipped": done["skipped"],
                "failed": done["failed"],
            },
        )
    columns = ("clip", "video", "subset", "kind", "leak", "offset_s", "speed", "mirror", "turn", "score", "overlap_s")
    rows = [[leak["posts"][0] if leak["posts"] else leak["clip"][:12], *map(leak.get, columns[1:])]
            for leak in result["leaks"]]  # fmt: skip
    check = finding.Checked(**result["checked"])
    found = f"{result['test']} clips in test videos, {result['training']} in training videos"
    sums = counts(result, ("videos", "fingerprinted", "skipped", "failed"))
    emit(result, as_json, [table("leaks", columns, rows), sums, f"{check.sentence()}: {found}"])
    say_failures([(one["video"], one["reason"]) for one in result["failures"]], "--retry-failed")
    say_failures([(str(outcome.task[0]), outcome.error or "") for outcome in failed], "--retry-failed")
    conclude(finding.ended(result), "videos and clips")


def _named(side: "ClipNames") -> str:
    return ", ".join(side["posts"]) or side["sha256"][:12]
