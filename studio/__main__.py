"""Renders the photographs that are missing: ``python -m studio --out data/tabletop [--shard 1/4]``."""
from __future__ import annotations

import argparse
import csv
import os
import signal
import sys
from pathlib import Path

from tqdm import tqdm

from . import scene as scenes

COLUMNS = ["file", "label", "session", "split", "part", "variant", "surface", "hdri", "lamps", "flash", "clutter",
           "frame", "azimuth", "elevation", "fill", "exposure"]


def files_of(session: str, out: Path) -> list[Path]:
    label = session.rsplit("-", 1)[0]
    return [out / label / f"{session}_{i}.jpg" for i in range(scenes.frames_of(session))]


def shard(sessions: list[str], which: str) -> list[str]:
    """Every n-th session, from the k-th on, for ``which`` = "k/n"; ValueError when that makes no sense."""
    try:
        k, n = (int(part) for part in which.split("/"))
    except ValueError:
        k, n = 0, 0
    if not 1 <= k <= n:
        raise ValueError(f"--shard {which}: expected k/n with 1 <= k <= n, for example 1/4")
    return sessions[k - 1::n]


def write_table(out: Path) -> int:
    """Writes photos.csv of every session whose pictures are all there; returns the number of photographs."""
    rows = []
    for session in scenes.sessions():
        files = files_of(session, out)
        if not all(file.exists() for file in files):
            continue
        s = scenes.draw(session)
        for i, (file, frame) in enumerate(zip(files, s.frames)):
            rows.append([file.relative_to(out).as_posix(), s.label, session, s.split, scenes.part_of(session),
                         s.thing.variant, s.surface, s.hdri, s.lamps, int(s.flash), len(s.clutter), i,
                         round(frame.azimuth), round(frame.elevation), round(frame.fill, 2), round(frame.exposure, 2)])
    partial = out / f"photos.csv.{os.getpid()}.part"
    with open(partial, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator="\n").writerows([COLUMNS] + rows)
    partial.replace(out / "photos.csv")
    return len(rows)


def forget_unfinished(out: Path) -> None:
    """Removes what this process began to write and did not finish."""
    for partial in out.rglob(f"*.{os.getpid()}.part"):
        partial.unlink()


def stop_when_told(out: Path) -> None:
    """On Ctrl-C and SIGTERM the process ends at once: an exception would end the frame only, because Blender prints and
    forgets what is raised while it renders. A picture appears whole or not at all, so nothing is lost."""
    def stop(*_: object) -> None:
        forget_unfinished(out)
        print(f"\nInterrupted. The pictures that are done are in {out}; run the same command again to go on.",
              file=sys.stderr, flush=True)
        os._exit(130)

    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, stop)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m studio", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures and photos.csv")
    parser.add_argument("--shard", default="1/1", help="k/n: render only every n-th session, from the k-th on")
    parser.add_argument("--sessions", nargs="*", help="only these, for example relay-07")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for all")
    options = parser.parse_args(arguments)
    unknown = set(options.sessions or []) - set(scenes.sessions())
    if unknown:
        print(f"--sessions: there is no session {sorted(unknown)[0]}; they are named label-number, for example "
              "relay-07", file=sys.stderr)
        return 2
    try:
        wanted = shard(options.sessions or scenes.sessions(), options.shard)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    missing = [s for s in wanted if not all(file.exists() for file in files_of(s, options.out))]
    from .render import render  # Blender takes seconds to load: only once there is something to render
    stop_when_told(options.out)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for session in tqdm(missing, unit="session", desc="render"):
            render(scenes.draw(session), files_of(session, options.out), options.threads)
        count = write_table(options.out)
    except OSError as error:
        forget_unfinished(options.out)
        print(f"{error.filename or options.out}: {error.strerror}. Make room, or name a folder that can be written to "
              "with --out; then run the same command again to go on.", file=sys.stderr)
        return 1
    print(f"{count} photographs in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
