"""Faults at random moments through every stage of a small real run: what is lost, doubled, or wrong in silence?

    .venv/bin/python benchmarks/faults.py --faults 1000 [--db postgresql] [--state faults.jsonl] [--only SEED]

Each seed chooses a stage (crawl to recheck), a kind of fault (SIGKILL, SIGTERM, SIGINT, a full disk, a database that
is dropped or locked, a cut connection, a second process, a flipped byte) and a moment; afterwards the same command
runs again, and the end is compared with that of an undisturbed run. `--state` keeps what each seed gave: the same call
goes on where it was stopped, so that short runs add up. Exit code 1 where any seed ends in a difference.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def a_database(kind: str) -> Iterator[str | None]:
    """A throw-away PostgreSQL server's URL, None for SQLite."""
    from tests.postgres import throw_away_cluster

    if kind == "sqlite":
        yield None
        return
    with throw_away_cluster() as url:
        yield url


def read_state(file: Path | None, database: str) -> dict[int, dict]:
    """{seed: result} of earlier runs on this database; a line that a killed run left in part is dropped."""
    done = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file and file.is_file() else ():
        with contextlib.suppress(ValueError):
            result = json.loads(line)
            if result["database"] == database:
                done[result["seed"]] = result
    return done


def table(results: list[dict]) -> str:
    """By stage and kind of fault: how many were tried, and how many ended in a difference."""
    from tests.faults.stages import NAMES

    kinds = sorted({result["kind"] for result in results})
    lines = [f"{'tried (differences)':20}" + "".join(f"{kind:>18}" for kind in kinds)]
    for stage in NAMES:
        cells = []
        for kind in kinds:
            of_both = [result for result in results if (result["stage"], result["kind"]) == (stage, kind)]
            wrong = sum(bool(result["differences"]) for result in of_both)
            cells.append(f"{len(of_both)}" + (f" ({wrong})" if wrong else "") if of_both else "")
        lines.append(f"{stage:20}" + "".join(f"{cell:>18}" for cell in cells))
    landed, wrong = sum(result["landed"] for result in results), sum(bool(result["differences"]) for result in results)
    lines.append(f"{len(results)} faults, {landed} met a running command, {wrong} ended in a difference")
    return "\n".join(lines)


def tell(result: dict, lines: int = 8) -> None:
    print(f"seed {result['seed']}: {result['stage']}, {result['kind']} {result['note']}", flush=True)
    for line in result["differences"][:lines]:
        print(f"    {line}", flush=True)


def run(options: argparse.Namespace, folder: Path, done: dict[int, dict]) -> None:
    """The seeds that are not done, one after the other, into `done` and the state file."""
    from tests.faults.stages import NAMES
    from tests.faults.trial import Trials
    from tests.faults.world import World

    seeds = [options.only] if options.only is not None else range(options.seed, options.seed + options.faults)
    left = [seed for seed in seeds if seed not in done]
    if not left:
        return
    with a_database(options.db) as url, World(folder / "world", url, lambda line: print(f"world: {line}")) as world:
        trials, began = Trials(world), time.monotonic()
        for number, seed in enumerate(left, 1):
            result = trials.run(seed, options.stage or NAMES, options.kind or ()).as_json()
            done[seed] = result
            if options.state and options.only is None:
                with open(options.state, "a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
            if result["differences"] or options.only is not None:
                tell(result, 100 if options.only is not None else 8)
            if number % 10 == 0:
                each = (time.monotonic() - began) / number
                minutes = each * (len(left) - number) / 60
                print(f"{number} of {len(left)}, {each:.1f} s each, about {minutes:.0f} min left", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="the first of so many")
    parser.add_argument("--db", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--state", type=Path, help="keep the results here, and go on from those that are there")
    parser.add_argument("--only", type=int, help="repeat this seed, and show all of its differences")
    parser.add_argument("--stage", action="append", help="only these stages (a seed then means another fault)")
    parser.add_argument("--kind", action="append", help="only these kinds of fault")
    options = parser.parse_args()
    done = {} if options.only is not None else read_state(options.state, options.db)
    with tempfile.TemporaryDirectory(prefix="plusmv-faults-") as folder, contextlib.suppress(KeyboardInterrupt):
        run(options, Path(folder), done)
    print(table([*done.values()]))
    sys.exit(any(result["differences"] for result in done.values()))


if __name__ == "__main__":
    main()
