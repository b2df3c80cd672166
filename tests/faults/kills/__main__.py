"""Hundreds of nights:

    python -m tests.faults.kills --random 150 --jobs 2

or a few, every fortieth point and three at random:

    python -m tests.faults.kills --every 40 --random 3
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults.kills.nights import warm_up
from tests.faults.kills.trials import Death, Undisturbed, at_points, at_random, attempt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="a trial for every so manieth point")
    parser.add_argument("--random", type=int, default=150, help="trials besides")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--place", type=Path, help="where the nights happen; what went wrong stays there")
    options = parser.parse_args()
    place = options.place or Path(tempfile.mkdtemp(prefix="kills-"))
    warm_up()
    began = time.monotonic()
    undisturbed = Undisturbed(place / "undisturbed")
    seconds = time.monotonic() - began
    draw = random.Random(options.seed)
    first = draw.randrange(options.every)
    trials = [[death] for death in list(at_points(undisturbed.points))[first :: options.every]]
    trials += [[death] for death in at_random(options.random, undisturbed.points, seconds, draw)]
    for deaths in trials:  # one of three dies again when it is run anew
        if draw.random() < 1 / 3:
            deaths += at_random(1, undisturbed.points, seconds, draw)
    draw.shuffle(trials)
    print(f"{len(trials)} trials; undisturbed {seconds:.0f} s, {len(undisturbed.points)} points", flush=True)
    workers = []
    for number in range(options.jobs):
        worker = os.fork()
        if not worker:
            try:
                _work(number, options.jobs, trials, place, undisturbed)
            finally:
                os._exit(0)
        workers.append(worker)
    for worker in workers:
        os.waitpid(worker, 0)
    return _report(place, len(trials))


def _work(
    number: int, jobs: int, trials: Sequence[Sequence[Death]], place: Path, undisturbed: Undisturbed
) -> None:
    with (place / f"outcomes-{number}").open("a") as file:
        for trial in range(number, len(trials), jobs):
            outcome = attempt(trials[trial], place / str(trial), undisturbed)
            file.write(json.dumps({"trial": trial, **asdict(outcome)}) + "\n")
            file.flush()
            if outcome.fault:
                print(f"trial {trial}: {outcome}", flush=True)


def _report(place: Path, expected: int) -> int:
    outcomes = [json.loads(line) for file in place.glob("outcomes-*") for line in file.open()]
    kinds = Counter(death["kind"].split(" ")[0] for one in outcomes for death in one["deaths"])
    killed = sum(code != 0 for one in outcomes for code in one["died"])
    bad = [one for one in outcomes if one["fault"]]
    print(f"{len(outcomes)} of {expected} trials, {killed} runs died, {len(bad)} bad ends: {dict(kinds)}")
    return 1 if bad or len(outcomes) < expected else 0


if __name__ == "__main__":
    raise SystemExit(main())
