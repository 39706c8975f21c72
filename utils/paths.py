"""What the environment decides: where things are (PHOTOS, EXPORTED) and which seed trains (COURSE_SEED).

A relative folder counts from the root of the course, the folder that `make` is called in, and not from notebooks/, the
folder that the kernels run in.
"""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
TABLETOP = DATA / "tabletop"


def _folder(variable, default):
    return (ROOT / Path(os.environ.get(variable) or default).expanduser()).resolve()


PHOTOS = _folder("PHOTOS", TABLETOP)  # the photographs that the notebooks work on: one folder a class, or a photos.csv
EXPORTED = _folder("EXPORTED", ROOT / "exported")  # what the notebooks write

# Of everything random in the recipes and notebooks. `make findings` trains with several, to see how much of an accuracy
# is luck; the stored outputs belong to 0.
SEED = int(os.environ.get("COURSE_SEED") or 0)


def exported(*parts):
    """The path of a file in EXPORTED, its folder made on demand: `exported("report", "curve.png")`."""
    path = EXPORTED.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
