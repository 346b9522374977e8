"""The commands about duplicates: dedup."""

import typer

from core.commandline import HOME, Database, Home, Json, RetryFailed, Workers, counts, emit, say_failures, table, track
from core.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


@app.command()
def dedup(
    retry_failed: RetryFailed = False,
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Fingerprint what is new, and find exact and near duplicates among all clips.

    exact: the same bytes. copy: edited from the other. part: lies in the other. same-scene: another moment.
    """
    from curate.duplicates import find_duplicates
    from db.session import open_catalog

    workspace = Workspace(home)
    result = find_duplicates(open_catalog(workspace, db), workspace, workers, retry_failed, track)
    columns = ("a", "b", "kind", "offset_s", "speed", "mirror", "score")
    rows = [[_named(pair["a"]), _named(pair["b"]), *(pair[name] for name in columns[2:])] for pair in result["pairs"]]
    told = f"{len(result['pairs'])} pairs, {len(result['groups'])} groups"
    sums = counts(result, ("clips", "fingerprinted", "skipped", "failed"))
    emit(result, as_json, [table("duplicates", columns, rows), sums, told])
    say_failures([(_named(failure), failure["reason"]) for failure in result["failures"]], "--retry-failed")


def _named(side: dict) -> str:
    return ", ".join(side["posts"]) or side["sha256"][:12]
