"""The marks of pluggy: ``hookimpl`` for a plugin's functions, ``hookspec`` for what they may be."""

from __future__ import annotations

import pluggy

hookimpl = pluggy.HookimplMarker("cleanroom")
hookspec = pluggy.HookspecMarker("cleanroom")
