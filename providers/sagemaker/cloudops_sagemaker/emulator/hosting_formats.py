"""What the toolkits' default hooks do: load, decode, predict, encode. Standard library and numpy, Python 3.9."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

JSON, CSV, NPY, NPZ = "application/json", "text/csv", "application/x-npy", "application/x-npz"
#: Bodies of these types reach the hooks as text.
TEXT = frozenset((JSON, CSV))


class UnsupportedFormatError(Exception):
    """The default hooks know no such content type."""

    def __init__(self, content_type: Any) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework.\n\nPlease implement input_fn to to "
            "deserialize the request data or an output_fn to serialize the response. For more information, see the "
            "SageMaker Python SDK README."
        )


def default_model(model_dir: str) -> Any:
    """There is no model without the user's ``model_fn``."""
    raise NotImplementedError(
        "Please provide a model_fn implementation. See documentation for model_fn at "
        "https://sagemaker.readthedocs.io/en/stable/"
    )


def decode(data: Any, content_type: Any) -> Any:
    """The default ``input_fn``: a numpy array."""
    import numpy as np

    kind = str(content_type).split(";")[0].strip()
    if kind == JSON:
        return np.array(json.loads(data))
    if kind == CSV:
        return np.genfromtxt(io.StringIO(data), delimiter=",")
    if kind == NPY:
        return np.load(io.BytesIO(data), allow_pickle=True)
    if kind == NPZ:
        import scipy.sparse

        return scipy.sparse.load_npz(io.BytesIO(data))
    raise UnsupportedFormatError(content_type)


def default_predict(data: Any, model: Any) -> Any:
    """The default ``predict_fn``: scikit-learn's ``predict``, or a torch module called without gradients."""
    if hasattr(model, "predict"):
        return model.predict(data)
    if callable(model) and hasattr(model, "state_dict"):
        import torch

        with torch.no_grad():
            return model(torch.as_tensor(data, dtype=torch.float32))
    raise NotImplementedError(
        "Please provide a predict_fn implementation. See documentation for predict_fn at "
        "https://sagemaker.readthedocs.io/en/stable/"
    )


def default_output(prediction: Any, accept: str) -> tuple[Any, str]:
    """The default ``output_fn``: the first type of ``accept`` that it can write, and that type."""
    for kind in accept.replace(" ", "").split(","):
        if kind == JSON:
            return json.dumps(prediction, default=_plain), kind
        if kind in (CSV, NPY):
            return _array(prediction, kind), kind
    raise UnsupportedFormatError(accept)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _array(prediction: Any, kind: str) -> str | bytes:
    import numpy as np

    if kind == NPY:
        data = io.BytesIO()
        np.save(data, prediction)
        return data.getvalue()
    text = io.StringIO()
    np.savetxt(text, prediction, delimiter=",", fmt="%s")
    return text.getvalue()


def as_body(value: Any) -> bytes | Iterator[Any]:
    """What a hook returned as bytes; an iterator stays one and is sent piece by piece."""
    return value if hasattr(value, "__next__") else as_bytes(value)


def as_bytes(value: Any) -> bytes:
    """Text, bytes, a file or a JSON value as bytes."""
    if hasattr(value, "getvalue"):
        value = value.getvalue()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8")
    return json.dumps(value, default=_plain).encode("utf-8")
