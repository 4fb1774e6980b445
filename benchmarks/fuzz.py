"""`python -m benchmarks.fuzz`: what nobody thought of, made up by chance, and what it broke.

`--long` is the full measure, a quarter of an hour; without it, a fifth of that.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.proofs import Proof, prove, table

LONG, SHORT = 1.0, 0.2
ANSWERS, REQUESTS, LEDGER_RUNS = 100_000, 10_000, 1_000


def proofs(share: float) -> tuple[Proof, ...]:
    """Each with this share of its full count."""
    return (
        Proof(
            "damaged answers of language models",
            "tests/test_decision_parser.py",
            {"MUTATIONS": int(ANSWERS * share)},
            only="mutated",
        ),
        Proof(
            "the ledger under random events",
            "tests/test_ledger_invariants.py",
            {"LEDGER_RUNS": int(LEDGER_RUNS * share)},
            counted={"runs of 50 steps": int(LEDGER_RUNS * share)},
        ),
        Proof(
            "generated requests to the REST API",
            "tests/test_openapi.py",
            {"FUZZ_REQUESTS": int(REQUESTS * share)},
        ),
    )


def main() -> int:
    """Run, print, judge."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--long", action="store_true", help="the full counts")
    share = LONG if arguments.parse_args().long else SHORT
    outcomes = [prove(proof) for proof in proofs(share)]
    print(f"\n{table(outcomes)}")
    return 0 if all(outcome.holds for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
