"""Files and folders: one appears whole or not at all, and how large it is."""
import contextlib
import sys
import tempfile
from pathlib import Path


@contextlib.contextmanager
def written_whole(path):
    """`with written_whole("a.mlpackage") as unfinished: model.save(unfinished)`: the file or folder takes its place,
    and that of an older one, when the block has succeeded; otherwise nothing changes and nothing is left behind."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"ignore_cleanup_errors": True} if sys.version_info >= (3, 10) else {}  # notebook 04 has Python 3.8
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=path.parent, **options) as folder:
        unfinished = Path(folder) / path.name  # libraries insist on the suffix
        yield unfinished
        if path.is_dir():
            path.rename(Path(folder) / "replaced")  # a folder can only be renamed to where nothing is
        unfinished.replace(path)


def megabytes(path):
    """Size of a file, or of all files below a folder such as an .mlpackage, in 10⁶ bytes."""
    path = Path(path)
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file()) / 1e6
