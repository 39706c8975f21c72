"""A file or folder appears whole or not at all."""
import pytest

from utils import files


@pytest.mark.parametrize("is_folder", [False, True])
def test_written_whole_replaces_what_was_there(tmp_path, is_folder):
    for text in ("old", "new"):
        with files.written_whole(tmp_path / "deeper" / "a.mlpackage") as unfinished:
            if is_folder:
                unfinished.mkdir()
            (unfinished / "file" if is_folder else unfinished).write_text(text)
    path = tmp_path / "deeper" / "a.mlpackage"
    assert (path / "file" if is_folder else path).read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_written_whole_leaves_the_old_file_and_nothing_else_when_the_block_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"):
        with files.written_whole(path) as unfinished:
            unfinished.write_text("half")
            raise OSError("disk full")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
