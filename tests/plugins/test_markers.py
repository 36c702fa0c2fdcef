"""Marked functions: what is read without pluggy is what pluggy reads, and all else is left to it."""

from __future__ import annotations

from types import ModuleType

import pluggy
import pytest

from cleanroom import hookspecs
from cleanroom.plugins.manager import HOOKS
from cleanroom.plugins.markers import PROJECT, hookimpl, plain_hooks

PLAIN = {
    "marked by cleanroom": "@hookimpl\ndef cleanroom_rules(): ...",
    "marked by pluggy": "@pluggy.HookimplMarker('cleanroom')\ndef cleanroom_rules(): ...",
    "options that ask for nothing": "@hookimpl(tryfirst=False)\ndef cleanroom_rules(): ...",
    "several": "@hookimpl\ndef cleanroom_rules(): ...\n@hookimpl\ndef cleanroom_recipes(): ...",
    "others beside it": "import cleanroom as cleanroom_x\n@hookimpl\ndef cleanroom_rules(): ...\n"
    "def cleanroom_recipes(): ...\n@hookimpl\ndef rules(): ...",
}
UNUSUAL = {
    "no mark": "def cleanroom_rules(): ...",
    "an argument": "@hookimpl\ndef cleanroom_rules(folder): ...",
    "an argument with a default": "@hookimpl\ndef cleanroom_rules(folder=1): ...",
    "an argument behind a wrapper": "import functools\ndef f(folder): ...\n"
    "@hookimpl\n@functools.wraps(f)\ndef cleanroom_rules(*arguments): ...",
    "no hook": "@hookimpl\ndef cleanroom_rule(): ...",
    "no hook, which is said": "@hookimpl(optionalhook=True)\ndef cleanroom_rule(): ...",
    "another name": "@hookimpl(specname='cleanroom_rules')\ndef cleanroom_own(): ...",
    "a wrapper": "@hookimpl(wrapper=True)\ndef cleanroom_rules(): yield",
    "no function": "class cleanroom_rules: ...",
    "a static method": "cleanroom_rules = hookimpl(staticmethod(lambda: []))",
    "a mark that is none": "def cleanroom_rules(): ...\ncleanroom_rules.cleanroom_impl = True",
}


def module(code: str) -> ModuleType:
    made = ModuleType("made")
    exec(code, {"hookimpl": hookimpl, "pluggy": pluggy}, vars(made))
    return made


@pytest.mark.parametrize("case", PLAIN)
def test_what_is_plain_is_read_as_pluggy_reads_it(case: str) -> None:
    plugin = module(PLAIN[case])
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    theirs = {hook: [item.function for item in getattr(manager.hook, hook).get_hookimpls()] for hook in HOOKS}
    (ours,) = plain_hooks([plugin], HOOKS) or [{}]
    assert {hook: [function] for hook, function in ours.items()} == {hook: its for hook, its in theirs.items() if its}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_unusual_is_left_to_pluggy(case: str) -> None:
    assert plain_hooks([module(PLAIN["several"]), module(UNUSUAL[case])], HOOKS) is None


def test_what_is_there_twice_or_is_no_module_is_left_to_pluggy() -> None:
    plugin = module(PLAIN["several"])
    assert plain_hooks([plugin, plugin], HOOKS) is None
    assert plain_hooks([type("plugin", (), vars(plugin))], HOOKS) is None
