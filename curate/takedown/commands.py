"""`plusmv takedown`: remove a post, an uploader or a content everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from plusmv.core.commandline import HOME, Database, Home, Json, emit, say
from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace

app = typer.Typer(rich_markup_mode=None)


@app.command()
def takedown(
    url: Annotated[str | None, typer.Option(help="The post at this address.")] = None,
    post: Annotated[str | None, typer.Option(help="A post's id, or platform:id.")] = None,
    uploader: Annotated[str | None, typer.Option(help="All posts of an uploader's id, or platform:id.")] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="A content, with every post that shows it.")] = None,
    flow_cache: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of extract --flow-cache that this workspace does not know (repeatable)."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept with the tombstone; name nobody in it.")] = "",
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Remove everything of a post, an uploader or a content, for good; later crawls leave it alone.

    Media, features, fingerprints, decisions, previews and exports that hold it go, freed pages of the catalog are
    overwritten; media stay while a post that was not named holds them. Trained checkpoints are listed, not touched. Of
    what the catalog does not know, the tombstone is kept and nothing else is touched.
    """
    from plusmv.curate.takedown.remove import take_down
    from plusmv.db.session import open_catalog

    given = {name: v for name, v in (("url", url), ("post", post), ("uploader", uploader), ("sha256", sha256)) if v}
    if len(given) != 1:
        raise BadInput("give one of --url, --post, --uploader and --sha256")
    ((kind, value),) = given.items()
    workspace = Workspace(home)
    result = take_down(open_catalog(workspace, db), workspace, kind, value, reason, say, flow_cache or ())
    summary = (
        f"{result['posts']} posts and {result['clips']} clips are gone, {result['clips_kept']} clips stay with others"
    )
    emit(result, as_json, [summary, f"{len(result['removed'])} files removed, {len(result['rewritten'])} rewritten"])
    if not result["known"]:
        say("the catalog knows nothing of it: nothing was touched; it is remembered, and a crawl will not take it in")
    for left in result["left"]:
        say(f"{left} may still name it: its format is not followed, or it is damaged; look at it yourself")
    for run in result["checkpoints"]:
        say(f"run {run} was, or may have been, trained on it: train again without it, or remove the run")
    if any(removed.startswith("exports/") for removed in result["removed"]):
        say("exports that held it were removed: run plusmv export for one without it, and warn who has the old one")
