"""The 20 THUMOS14 actions: hashtags to crawl them by, what counts as one, and the Kinetics-400 classes that show them.

Custom actions come from a CSV with the columns action, tags and, optionally, definition and kinetics; several tags or
classes in one cell are separated by spaces (tags) or by "|" (classes, whose names contain spaces).
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from plusmv.core.errors import BadInput
from plusmv.core.limits import LIST_BYTES
from plusmv.core.reading import csv_rows


@dataclass(frozen=True)
class Action:
    """An action class: its name in the benchmark, and what platforms and Kinetics-400 call it."""

    name: str
    tags: tuple[str, ...]
    definition: str = ""
    kinetics: tuple[str, ...] = ()


class ActionRow(TypedDict):
    """A row of an actions CSV."""

    action: str
    tags: NotRequired[str]  # separated by spaces; left out: the action's name
    definition: NotRequired[str]
    kinetics: NotRequired[str]  # Kinetics-400 classes, separated by "|"


# Billiards has no Kinetics-400 class, and the two cricket actions share one.
THUMOS14 = (
    Action("BaseballPitch", ("baseballpitch", "pitching", "baseballpitcher"),
           "A pitcher throws the ball to the batter, from wind-up to release.", ("catching or throwing baseball",)),
    Action("BasketballDunk", ("basketballdunk", "slamdunk", "dunk"),
           "A player jumps and puts the ball through the hoop by hand.", ("dunking basketball",)),
    Action("Billiards", ("billiards", "pool8ball", "snooker"),
           "A player strikes the cue ball with the cue."),
    Action("CleanAndJerk", ("cleanandjerk", "cleanjerk", "olympicweightlifting"),
           "A lifter takes the bar from the floor to the shoulders, then overhead.", ("clean and jerk",)),
    Action("CliffDiving", ("cliffdiving", "cliffdive", "cliffjumping"),
           "A person dives or jumps from a cliff into water. Also a Diving.", ("diving cliff",)),
    Action("CricketBowling", ("cricketbowling", "fastbowling", "spinbowling"),
           "A bowler runs up and delivers the ball.", ("playing cricket",)),
    Action("CricketShot", ("cricketshot", "cricketbatting", "coverdrive"),
           "A batter hits the ball with the bat.", ("playing cricket",)),
    Action("Diving", ("diving", "springboarddiving", "platformdiving"),
           "A person dives into water from a board, platform or cliff.", ("springboard diving", "diving cliff")),
    Action("FrisbeeCatch", ("frisbeecatch", "ultimatefrisbee", "frisbee"),
           "A person catches a flying disc.", ("catching or throwing frisbee",)),
    Action("GolfSwing", ("golfswing", "golfdrive", "golfshot"),
           "A player swings the club and hits the ball.", ("golf driving", "golf chipping", "golf putting")),
    Action("HammerThrow", ("hammerthrow", "hammerthrower"),
           "An athlete turns and throws the hammer.", ("hammer throw",)),
    Action("HighJump", ("highjump", "highjumper"),
           "An athlete runs up and jumps over a bar.", ("high jump",)),
    Action("JavelinThrow", ("javelinthrow", "javelin"),
           "An athlete runs up and throws the javelin.", ("javelin throw",)),
    Action("LongJump", ("longjump", "longjumper"),
           "An athlete runs up and jumps into the sand.", ("long jump",)),
    Action("PoleVault", ("polevault", "polevaulter"),
           "An athlete vaults over a bar with a pole.", ("pole vault",)),
    Action("Shotput", ("shotput", "shotputter"),
           "An athlete puts the shot from the circle.", ("shot put",)),
    Action("SoccerPenalty", ("soccerpenalty", "penaltykick"),
           "A player takes a penalty kick.", ("shooting goal (soccer)",)),
    Action("TennisSwing", ("tennisswing", "tennisforehand", "tennisserve"),
           "A player strikes the ball with the racket.", ("playing tennis",)),
    Action("ThrowDiscus", ("throwdiscus", "discusthrow", "discus"),
           "An athlete turns and throws the discus.", ("throwing discus",)),
    Action("VolleyballSpiking", ("volleyballspiking", "volleyballspike", "spike"),
           "A player jumps and smashes the ball over the net.", ("playing volleyball",)),
)  # fmt: skip


def normalise_tag(tag: str) -> str:
    """A hashtag as platforms compare it: NFKC, no '#', no white space, lower case. Raises BadInput if none is left."""
    plain = re.sub(r"[\s#]+", "", unicodedata.normalize("NFKC", tag)).casefold()
    if not plain or len(plain) > 200 or not plain.isprintable():
        raise BadInput(f"invalid tag {tag[:60]!r}: use 1 to 200 visible characters, such as golfswing")
    return plain


def action_of_tag(tag: str, actions: Iterable[Action] = THUMOS14) -> Action | None:
    """The action a tag belongs to; an action's own name counts as one of its tags."""
    plain = normalise_tag(tag)
    return next((a for a in actions if plain == a.name.casefold() or plain in map(normalise_tag, a.tags)), None)


def read_actions(path: Path) -> tuple[Action, ...]:
    """Read actions from a CSV (action, tags[, definition, kinetics]). Raises BadInput naming the invalid line."""
    actions: list[Action] = []
    for line, row in csv_rows(path, tuple(ActionRow.__annotations__), ("action",), LIST_BYTES):
        if not row["action"].strip():
            raise BadInput(f"{path} line {line}: an action is required")
        name = row["action"].strip()
        if any(name == action.name for action in actions):
            raise BadInput(f"{path} line {line}: {name} is listed twice; put all its tags into one cell")
        tags = tuple(normalise_tag(tag) for tag in (row.get("tags") or name).split())
        kinetics = tuple(part.strip() for part in (row.get("kinetics") or "").split("|") if part.strip())
        actions.append(Action(name, tags, (row.get("definition") or "").strip(), kinetics))
    if not actions:
        raise BadInput(f"{path} has no actions; it needs a header 'action,tags' and one line per action")
    return tuple(actions)


def actions_named(text: str) -> tuple[Action, ...]:
    """The actions that `--actions` names: "thumos14", or the path of a CSV file."""
    return THUMOS14 if text.casefold() == "thumos14" else read_actions(Path(text))
