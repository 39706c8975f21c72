"""What the runtime raises: each is a ValueError whose message says what is wrong, where, and what to do."""

from collections.abc import Iterable


class CoreMLRuntimeError(ValueError):
    """Any of the errors below."""


class ModelFileError(CoreMLRuntimeError):
    """A file that is no Core ML model, is damaged, or is of a kind that this runtime does not read."""


class UnknownOperator(CoreMLRuntimeError):
    """A model that uses an operator, or an argument of one, that this runtime does not know."""


class ModelRunError(CoreMLRuntimeError):
    """An operation of a model that failed while it ran, on the shapes that it got."""


class InputError(CoreMLRuntimeError):
    """An input of the wrong name, type, size, mode or shape."""


def first_line(error: BaseException) -> str:
    """What an exception of another library says, short enough to be quoted in a message."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return (line if len(line) <= 160 else line[:160] + "…").rstrip(". ")


def quoted(names: Iterable[str]) -> str:
    """Names for a message: `'a', 'b'`, or `none`."""
    return ", ".join(f"'{name}'" for name in names) or "none"
