"""The settings of docs/use/editors.md, in the editors themselves as far as they are there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cleanroom

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLUGIN = Path(__file__).parents[1]
PAGE = (PLUGIN.parents[1] / "docs" / "use" / "editors.md").read_text("utf-8")
DOCKERFILE = "FROM debian:12\nRUN apt-get update && apt-get install -y curl\nRUN pip install requests\n"


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def program(name):
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


IN_NEOVIM = """
local function settled() return #vim.diagnostic.get(0) == 2 end
assert(vim.wait(120000, settled), "no diagnostics")
local told = {}
for _, item in ipairs(vim.diagnostic.get(0)) do
  table.insert(told, { item.code, item.lnum, item.col, item.end_col, item.source })
end
vim.api.nvim_win_set_cursor(0, { 3, 10 })
local hovers = vim.lsp.buf_request_sync(0, "textDocument/hover", vim.lsp.util.make_position_params(0, "utf-16"), 120000)
local hover = ""
for _, answer in pairs(hovers) do hover = answer.result.contents.value end
local before = vim.b.changedtick
vim.lsp.buf.code_action({ context = { only = { "source.fixAll" }, diagnostics = {} }, apply = true })
assert(vim.wait(120000, function() return vim.b.changedtick ~= before end), "nothing was changed")
assert(vim.wait(120000, function() return #vim.diagnostic.get(0) == 0 end), "diagnostics stay")
vim.cmd("write")
vim.fn.writefile({ vim.json.encode({ told = told, hover = hover }) }, "told.json")
vim.cmd("qall!")
"""


def test_neovim(tmp_path):
    editor = program("nvim")
    (tmp_path / "cleanroom.toml").write_text("")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "init.lua").write_text(block("lua"))
    (tmp_path / "check.lua").write_text(IN_NEOVIM)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "DATA", "STATE", "CACHE")},
    }
    command = [editor, "--headless", "-u", "init.lua", "Dockerfile", "-c", "luafile check.lua", "-c", "cquit"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["told"] == [
        ["left-behind[apt.lists]", 1, 4, 18, "cleanroom"],
        ["left-behind[pip.cache]", 2, 4, 24, "cleanroom"],
    ]
    assert told["hover"].startswith("**[pip](")
    assert (tmp_path / "Dockerfile").read_text() == cleanroom.fix(DOCKERFILE).text


def test_helix_settings_are_toml():
    settings = tomllib.loads(block("toml"))
    (language,) = settings["language"]
    assert settings["language-server"]["cleanroom"]["command"] == "cleanroom-lsp"
    assert "cleanroom" in language["language-servers"]


def test_the_extension_is_whole():
    folder = PLUGIN / "vscode"
    package = json.loads((folder / "package.json").read_text())
    assert package["main"] == "./extension.js"
    assert set(package["contributes"]["configuration"]["properties"]) == {"cleanroom.path"}
    subprocess.run([program("node"), "--check", str(folder / "extension.js")], check=True)
    json.loads(block("json"))
