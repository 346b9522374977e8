"""`plusmv rank`: the suspicion of every clip, and when each action needs no more looking."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plusmv.core.commandline import HOME, Database, Home, Json, conclude, emit, fall_short, say, table, track
from plusmv.core.workspace import Workspace

if TYPE_CHECKING:
    from plusmv.curate.ranking.rank import ActionRank
    from plusmv.curate.ranking.result import RankTotals
    from plusmv.curate.ranking.stopping import Stopping

app = typer.Typer(rich_markup_mode=None)
HEADS = ("action", "clips", "undecided", "ranked", "no features", "signals", "good among the rest", "at least", "")


@app.command()
def rank(
    scores: Annotated[
        Path | None, typer.Option(help="CSV of plusmv detect --scores: a trainer's score of each clip.")
    ] = None,
    quota: Annotated[int | None, typer.Option(min=1, help="Kept clips wanted of each action.")] = None,
    good: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the rest that must be expected good, or wrong, to stop.")
    ] = 0.95,
    actions: Annotated[
        str, typer.Option(help='"thumos14", or a CSV of actions of your own with their Kinetics classes.')
    ] = "thumos14",
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Rank each action's clips by how likely they are mis-tagged, and report which actions need no more review.

    By up to three signals: the tag's Kinetics-400 classes, the nearest clips (labelled by the decisions so far), and a
    trainer's scores. The labeler ranks anew as decisions come in; this command also takes in new features and scores.
    """
    from plusmv.core.actions import actions_named
    from plusmv.curate.ranking.rank import rank as rank_clips
    from plusmv.curate.ranking.result import ended, rank_result
    from plusmv.curate.ranking.stopping import stopping
    from plusmv.db.session import open_catalog

    catalog = open_catalog(Workspace(home), db)
    ranked = rank_clips(catalog, Workspace(home), scores, actions_named(actions), track)
    with catalog.reading() as session:
        stops = {each.action: stopping(session, each.action_id, quota, good) for each in ranked}
    result = rank_result(ranked, stops)
    emit(result, as_json, [table("suspicion", HEADS, map(_cells, ranked, stops.values())), _sum(result["totals"])])
    _say_what_is_missing(ranked)
    if not ranked:
        fall_short("the catalog has no clip: take some in with plusmv crawl")
    conclude(ended(result["totals"]), "clips")


def _cells(ranked: "ActionRank", stop: "Stopping") -> list:
    shares = ["" if share is None else f"{share:.0%}" for share in (stop.expected_good, stop.lower)]
    counts = [ranked.clips, ranked.undecided, ranked.ranked, ranked.without_features]
    return [ranked.action, *counts, " ".join(ranked.signals) or "none", *shares, stop.words]


def _sum(totals: "RankTotals") -> str:
    return (
        f"{totals['undecided']} undecided = {totals['ranked']} ranked + {totals['without_features']} without features"
    )


def _say_what_is_missing(ranked: "list[ActionRank]") -> None:
    """Say which signal an action lacks, and why clips have no features."""
    reasons: dict[str, int] = {}
    for each in ranked:
        for signal, why in each.missing.items():
            say(f"{each.action}: no {signal} signal: {why}")
        for why, clips in each.reasons.items():
            reasons[why] = reasons.get(why, 0) + clips
    for why, clips in sorted(reasons.items(), key=lambda pair: -pair[1]):
        say(f"{clips} clips without features: {why}")
