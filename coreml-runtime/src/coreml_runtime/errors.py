"""What the runtime raises: each is a ValueError whose message says what is wrong, where, and what to do."""

import contextlib
import re
from collections.abc import Iterable, Iterator


class CoreMLRuntimeError(ValueError):
    """Any of the errors below. The message is one line, also where a name in a damaged file has line ends in it."""

    def __init__(self, message: str):
        super().__init__(" ".join(re.split(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", message)))


class ModelFileError(CoreMLRuntimeError):
    """A file that is no Core ML model, is damaged, or is of a kind that this runtime does not read."""


class UnknownOperator(CoreMLRuntimeError):
    """A model that uses an operator, or an argument of one, that this runtime does not know."""


class ModelRunError(CoreMLRuntimeError):
    """An operation of a model that failed while it ran, on the shapes that it got."""


class InputError(CoreMLRuntimeError):
    """An input of the wrong name, type, size, mode or shape."""


@contextlib.contextmanager
def told_as(error_type: type[CoreMLRuntimeError], what: str) -> Iterator[None]:
    """Whatever is raised inside becomes an `error_type` that begins with `what`; errors of the runtime stay as they
    are. A damaged file can make this package, PyTorch and coremltools raise almost anything."""
    try:
        yield
    except CoreMLRuntimeError:
        raise
    except Exception as error:
        raise error_type(f"{what} ({first_line(error)}); export or copy the model again") from error


def first_line(error: BaseException) -> str:
    """What an exception of another library says, short enough to be quoted in a message."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return (line if len(line) <= 160 else line[:160] + "…").rstrip(". ")


def quoted(names: Iterable[str]) -> str:
    """Names for a message: `'a', 'b'`, or `none`."""
    return ", ".join(f"'{name}'" for name in names) or "none"
