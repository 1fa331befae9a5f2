"""TorchScript models, through PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudops.runtime.errors import BadRequest, Problem

from .rows import TensorSpec, as_lists, matrix


def load(path: Path) -> TorchModel:
    """The TorchScript module in ``path``, on a GPU where there is one.

    Raises:
        Problem: the file holds something else, such as a ``state_dict``.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    jit: Any = torch.jit  # untyped where PyTorch is installed
    try:
        module = jit.load(str(path), map_location=device)
    except RuntimeError as error:
        raise Problem(
            f"{path} is no TorchScript file; save the model with torch.jit.script(model).save(...) or set a predictor"
        ) from error
    return TorchModel(module.eval(), device)


class TorchModel:
    """Calls the module with one float32 tensor of all rows; for anything else set a predictor."""

    framework = "torchscript"

    def __init__(self, module: Any, device: str) -> None:
        self._module = module
        self._device = device

    def inputs(self) -> list[TensorSpec]:
        """Unknown: TorchScript does not say."""
        return []

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        """The module's output.

        Raises:
            BadRequest: the rows are not numbers of one shape.
        """
        import torch

        if parameters:
            raise BadRequest("this model takes no parameters")
        tensor = torch.from_numpy(matrix(as_lists(rows, None), "float32"))
        with torch.inference_mode():
            return self._module(tensor.to(self._device))
