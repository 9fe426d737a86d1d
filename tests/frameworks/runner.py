"""Runs functions whose names begin with `test_`, and says which held."""

import argparse
import sys
import time
import traceback

import numpy


def main(modules, subject, rounds, description):
    """Calls each test of the modules with what it tests, and with a generator of random numbers that knows the round."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=rounds, help="of each test, at other shapes; default %(default)s")
    parser.add_argument("--skip", action="append", default=[], metavar="NAME", help="tests not to run")
    parser.add_argument("names", nargs="*", help="tests to run; all without")
    arguments = parser.parse_args()
    tests = {name: test for module in modules for name, test in vars(module).items() if name.startswith("test_")}
    unknown = {*arguments.names, *arguments.skip} - set(tests)
    if unknown:
        parser.error(f"there is no test {', '.join(sorted(unknown))}")
    chosen = [name for name in arguments.names or tests if name not in arguments.skip]
    failed = [name for name in chosen if not holds(name, tests[name], subject, arguments)]
    print("failed:", ", ".join(failed) if failed else "none")
    return 1 if failed else 0


def holds(name, test, subject, arguments):
    begun = time.perf_counter()
    rounds = getattr(test, "rounds", arguments.rounds)
    for round_number in range(rounds):
        try:
            test(subject, numpy.random.default_rng([arguments.seed, round_number]))
            subject.settle()
        except Exception:
            print("FAILED", name, "in round", round_number, "of seed", arguments.seed, flush=True)
            traceback.print_exc(file=sys.stdout)
            return False
    print(f"ok      {name}, {rounds} rounds, {time.perf_counter() - begun:.1f} s", flush=True)
    return True


def once(test):
    """For a test in which nothing is random."""
    test.rounds = 1
    return test
