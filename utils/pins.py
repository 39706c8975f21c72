"""Which pins are behind what pip finds today; behind `make check-pins`. Needs the network, as set-up does.

Pins that hold each other (torch and torchvision, keras and tensorflow) are raised together: CONTRIBUTING.md.
"""
import json
import subprocess
import sys

from packaging.utils import canonicalize_name

from utils.lesson import required_versions

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "list", "--outdated",
       "--format", "json"]
UNREACHABLE = ("Retrying (", "Could not fetch URL", "Failed to establish")  # pip warns, and then finds nothing newer


class PinsError(RuntimeError):
    """pip cannot tell what is there; the message says why."""


def newer_versions():
    """{distribution: newest version} of what is installed in this environment and has one. Raises PinsError."""
    done = subprocess.run(PIP, capture_output=True, text=True)
    if done.returncode or any(words in done.stderr for words in UNREACHABLE):
        last = (done.stderr.strip() or f"pip's exit code is {done.returncode}").splitlines()[-1]
        raise PinsError(f"pip cannot ask for newer versions; is there a network? ({last.strip()})")
    return {canonicalize_name(each["name"]): each["latest_version"] for each in json.loads(done.stdout)}


def behind(pinned, newer):
    """[(distribution, pinned version, newest)] of pins with something newer, sorted. Both: {distribution: version}."""
    return sorted((name, version, newer[canonicalize_name(name)]) for name, version in pinned.items()
                  if newer.get(canonicalize_name(name), version) != version)


def main():
    pinned = required_versions()
    try:
        found = behind(pinned, newer_versions())
    except PinsError as error:
        print(error, file=sys.stderr)
        return 1
    for name, version, newest in found:
        print(f"{name:36} {version:>12}  → {newest}")
    print(f"{len(found)} of {len(pinned)} pins are behind.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
