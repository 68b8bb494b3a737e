"""Runs the benches in turn, figures to bench/results/NAME.json: `python bench/run.py [--quick] [NAME…]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
BENCH_S_MAX = 2_700
QUICK = {  # what makes a bench a matter of a minute; results of such runs are shown, not kept
    "archive": ["--hours", "0.2", "--rounds", "2"],
    "arrivals": ["--quick"],
    "attacked": ["--quick"],
    "ceiling": ["--quick"],
    "comeback": ["--quick"],
    "crowd_sim": ["--quick"],
    "door": ["--quick"],
    "drawn": ["--quick"],
    "fanout": ["--quick"],
    "goodput": ["--quick"],
    "guests": ["--rounds", "1"],
    "hls": ["--minutes", "0.2"],
    "hls_cache": ["--players", "100", "--seconds", "8"],
    "hls_cpu": ["--quick"],
    "joins": ["--quick"],
    "ladder": ["--quick"],
    "loss": ["--speakers", "2", "--seconds", "20"],
    "mouth": ["--quick"],
    "overload": ["--quick"],
    "shield": ["--quick"],
    "stage": ["--speakers", "2", "--seconds", "5"],
    "stalled": ["--quick"],
    "ticket": ["--quick"],
    "tls": ["--quick"],
}


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path != Path(__file__))


def run(name: str, quick: bool) -> bool:
    """Run one bench; -> whether it gave figures."""
    print(f"== {name}", file=sys.stderr, flush=True)
    argv = [sys.executable, str(HERE / f"{name}.py"), *(QUICK.get(name, []) if quick else [])]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        output, _ = process.communicate(timeout=BENCH_S_MAX)
    except BaseException as error:
        process.terminate()  # a bench ends what it started
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            print(f"{name}: not done within {BENCH_S_MAX} s", file=sys.stderr)
            return False
        raise
    if process.returncode == 0:
        keep(name, output, quick)
    return process.returncode == 0


def keep(name: str, output: bytes, quick: bool) -> None:
    if quick:
        sys.stdout.buffer.write(output)
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_bytes(output)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="small runs, to see that everything works")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names()):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    failed = [name for name in arguments.names or names() if not run(name, arguments.quick)]
    if failed:
        print(f"without figures: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
