"""Work that kills its process: in a module of its own, which other processes can import."""

import os
from typing import Any

from cleanroom_survey.examine import Examined, examine

DEADLY = b"FROM scratch\n# deadly\n"


def die_on_deadly(table: Any) -> Examined:
    if DEADLY in table.column("content").to_pylist():
        os._exit(1)
    return examine(table)
