"""Mutated conversations against a running receiver, and mutated files against every reader.

    .venv/bin/python -m reliability.fuzz --minutes 60 --seed 1 --out runs/fuzz
    .venv/bin/python -m reliability.fuzz --minutes 10 --only ct,gate --corpus ../shared/data/awkward --out runs/fuzz
    .venv/bin/python -m reliability.fuzz --again runs/fuzz/finds/gate-1-33.bin

Half of the time goes to the network, half to the readers. Each find is reduced if possible and saved in the run's
folder with the line that repeats it. Exit code 1 if there is any.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree

from reliability.finds import save
from reliability.fuzz_files import fuzz_files, outcome
from reliability.fuzz_network import fuzz_network, repeat
from reliability.readers import readers

NETWORK = "network"


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder of the run; emptied first")
    parser.add_argument("--only", help=f"{NETWORK} and names of readers, with commas; without it: everything")
    parser.add_argument("--corpus", type=Path, help="folder of DICOM files that are additional samples")
    parser.add_argument(
        "--again",
        type=Path,
        help="feed a saved find once more to the reader or receiver in which it was found",
    )
    arguments = parser.parse_args()
    if arguments.again:
        raise SystemExit(_again(arguments.again))
    if not arguments.out:
        parser.error("--out is needed")
    names = arguments.only.split(",") if arguments.only else [NETWORK, *readers()]
    unknown = set(names) - {NETWORK, *readers()}
    if unknown:
        parser.error(f"--only: no {', '.join(sorted(unknown))}; there are {NETWORK}, {', '.join(readers())}")
    rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    raise SystemExit(_run(names, arguments))


def _run(names: Sequence[str], arguments: argparse.Namespace) -> int:
    files = [name for name in names if name != NETWORK]
    parts = (NETWORK in names) + bool(files)
    seconds = arguments.minutes * 60 / parts
    finds = []
    if NETWORK in names:
        report = fuzz_network(arguments.out / "receiver", seed=arguments.seed, seconds=seconds, say=_say)
        finds += report.finds
        _say(str(report))
    if files:
        found = fuzz_files(files, seed=arguments.seed, seconds=seconds, corpus=arguments.corpus, say=_say)
        finds += found.finds
        _say(f"readers: {sum(found.inputs.values())} inputs, {len(found.finds)} finds")
    for line in save(finds, arguments.out / "finds"):
        _say(line)
    return 1 if finds else 0


def _again(path: Path) -> int:
    """Repeat a saved find, whose file name names the reader; return the exit code."""
    name, data = path.name.split("-")[0], path.read_bytes()
    if name == NETWORK:
        with tempfile.TemporaryDirectory() as folder:
            found = repeat(Path(folder), data)
    else:
        found = outcome(readers()[name], data)
    _say(f"{name}: {found}")
    return 0 if found in ("read", "refused") else 1


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
