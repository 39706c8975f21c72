"""What a model with state (iOS 18) keeps from one prediction to the next."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .errors import InputError, quoted
from .mil_ops import StateCell


class State:
    """The state of a model, as `coremltools.models.model.MLState`. Made by `Model.make_state`, and zeros at first.

    Args:
        file: the model's name, for error messages.
        cells: what the program reads and updates, by name.
        dtypes: the declared types in NumPy's names, by name.
    """

    def __init__(self, file: str, cells: Mapping[str, StateCell], dtypes: Mapping[str, str]):
        self.file = file
        self.cells = dict(cells)
        self._dtypes = dict(dtypes)

    def __repr__(self) -> str:
        return f"<State of {self.file}: {', '.join(f'{n} {tuple(c.value.shape)}' for n, c in self.cells.items())}>"

    def read_state(self, name: str) -> np.ndarray:
        """A copy of the value `name`, in its declared shape and type.

        Raises:
            InputError: the model keeps no such value.
        """
        return self._cell(name).value.numpy().astype(self._dtypes[name])

    def write_state(self, name: str, value: Any) -> None:
        """Replace the value `name` by an array of its shape.

        Raises:
            InputError: the model keeps no such value, or it has another shape.
        """
        cell, array = self._cell(name), np.asarray(value)
        if array.shape != tuple(cell.value.shape) or array.dtype.kind not in "fiub":
            raise InputError(f"{self.file}: the state '{name}' takes numbers of shape {tuple(cell.value.shape)}, not "
                             f"{array.dtype} of shape {array.shape}")
        cell.value = torch.from_numpy(array.astype(self._dtypes[name]).astype(np.float32))

    def _cell(self, name: str) -> StateCell:
        if name not in self.cells:
            raise InputError(f"{self.file}: the model keeps no state '{name}'; it keeps {quoted(self.cells)}")
        return self.cells[name]
