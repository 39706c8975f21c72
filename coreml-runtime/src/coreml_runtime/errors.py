"""What the runtime raises: each is a ValueError whose message says what is wrong, where, and what to do."""


class CoreMLRuntimeError(ValueError):
    """Any of the errors below."""


class ModelFileError(CoreMLRuntimeError):
    """A file that is no Core ML model, is damaged, or is of a kind that this runtime does not read."""


class UnknownOperator(CoreMLRuntimeError):
    """A model that uses an operator, or an argument of one, that this runtime does not know."""


class InputError(CoreMLRuntimeError):
    """An input of the wrong name, type, size, mode or shape."""
