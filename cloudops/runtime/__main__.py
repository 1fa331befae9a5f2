"""``python -m cloudops.runtime``: the same commands as the archive's."""

from __future__ import annotations

import sys

from .main import main

sys.exit(main())
