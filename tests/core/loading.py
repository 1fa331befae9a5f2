"""Loading project files in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudops.config import Config, load
from cloudops.errors import ConfigError


def accepted(text: str | bytes, **layers: Any) -> Config:
    """The configuration of ``text`` as ``cloudops.yaml`` in the working directory."""
    Path("cloudops.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load(**{"environ": {}, **layers})


def refused(text: str | bytes, **layers: Any) -> str:
    """The one line that ``text`` is refused with."""
    with pytest.raises(ConfigError) as caught:
        accepted(text, **layers)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return message
