"""Hostile bytes for every parser: does anything come out but an answer or a named error, does it hang, does it swell?

    .venv/bin/python benchmarks/fuzz.py --seconds 120 [--parser NAME] [--keep DIR] [--case NUMBER]

Each case runs in a process with 1 GB of memory and 10 seconds. A case is a number: `--parser NAME --case NUMBER` gives
it again with its traceback; `--keep DIR` saves each input that was found. Exit code 1 where anything was found.
"""

import argparse
import sys
import time
from pathlib import Path


def main() -> None:
    from tests.faults.fuzzing import Fuzzing, case, read
    from tests.faults.parsers import PARSERS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each parser")
    parser.add_argument("--first", type=int, default=0, help="number of the first case: go on where another run ended")
    parser.add_argument("--parser", action="append", help="only these, by name")
    parser.add_argument("--keep", type=Path, help="save the inputs that were found in this folder")
    parser.add_argument("--case", type=int, help="one case of --parser, in this process")
    options = parser.parse_args()
    chosen = [each for each in PARSERS if not options.parser or each.name in options.parser]
    if options.case is not None:
        read(chosen[0], case(chosen[0], options.case))
        return
    found, began = [], time.monotonic()
    for index, each in enumerate(chosen):
        fuzzing, met = Fuzzing(each, options.seconds, options.first), set()
        for finding in fuzzing:
            if finding.where in met:
                continue
            met.add(finding.where)
            print(f"    {finding.parser} case {finding.number}: {finding.what}", flush=True)
            found.append((each, finding.number))
        left = (time.monotonic() - began) / (index + 1) * (len(chosen) - index - 1)
        print(f"{each.name}: {fuzzing.tried} cases, {len(met)} found; about {left:.0f} s left", flush=True)
    for each, number in found if options.keep else ():  # now, since what makes the seeds does not go with forking
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / f"{each.name.replace(' ', '-')}-{number}").write_bytes(case(each, number))
    print(f"{len(chosen)} parsers, {len(found)} found")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
