"""Proofs that are run for real: three managers, and a made-up one by which everything goes wrong that can."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from cleanroom.proofs import engines
from tests.support import ROOT, Once

pytestmark = pytest.mark.builds

APPLETS = "sh cat chmod chown cp cut echo env false grep head ls mkdir mv printf rm sleep test touch true wc wget"
# A manager that is a script: it fetches from a registry, keeps what it fetched, and cleans up in a way of its own.
BREWER = r"""#!/bin/sh
set -e
cache=${BREWER_CACHE:-$HOME/.cache/brewer}
case $1 in
--version) echo "brewer 2.1" ;;
add | keep)
    [ "$2" != --no-cache ] || { cache=/nowhere; shift; }
    mkdir -p /opt/brewer
    touch /tmp/log-$(cat /proc/sys/kernel/random/uuid)
    wget -q -O /opt/brewer/$2 $CLEANROOM_REGISTRY/$2
    [ $cache = /nowhere ] || { mkdir -p $cache; cp /opt/brewer/$2 $cache/; }
    ;;
purge) rm -rf $cache/* ;;
purge-all) rm -rf $cache /opt/brewer/hello ;;
purge-more) rm -rf $cache /etc/brewer ;;
wipe) exit 3 ;;
clean) : ;;
hang) sleep 1000 ;;
fill) head -c 100000000 /dev/zero >/opt/brewer/zeros && cp /opt/brewer/zeros /opt/zeros ;;
esac
"""
RECIPE: dict[str, Any] = {
    "id": "brewer",
    "name": "Brewer",
    "summary": "packages",
    "homepage": "https://brewer.example",
    "programs": [{"names": ["brewer"]}],
    "caches": [
        {
            "id": "cache",
            "what": "downloads",
            "paths": [{"path": "$BREWER_CACHE"}, {"path": "~/.cache/brewer"}],
            "filled_by": [{"verbs": ["add"]}],
        }
    ],
    "cleanups": [{"use": {"verbs": ["purge"]}, "empties": ["cache"]}],
    "preventions": [
        {"caches": ["cache"], "option": "--no-cache"},
        {"caches": ["cache"], "variable": "BREWER_CACHE", "values": ["/nowhere"]},
    ],
    "remedies": [
        {"kind": "prevent", "caches": ["cache"], "option": "--no-cache", "verbs": ["add"]},
        {"kind": "prevent", "caches": ["cache"], "variable": "BREWER_CACHE", "value": "/nowhere"},
        {"kind": "clean", "caches": ["cache"], "run": "rm -rf ~/.cache/brewer"},
        {"kind": "clean", "caches": ["cache"], "run": "brewer purge"},
        {"kind": "mount", "caches": ["cache"], "targets": ["~/.cache/brewer"]},
    ],
    "hazards": [
        {"id": "wipe-fails", "what": "brewer wipe exits 3", "effect": "fails"},
        {"id": "clean-does-nothing", "what": "brewer clean frees nothing", "effect": "nothing"},
    ],
    "proof": [
        {
            "base": "tiny:1",
            "registry": ["mkdir -p /srv && for name in hello more; do printf '%05000d' 7 > /srv/$name; done"],
            "setup": ["mkdir /etc/brewer && touch /etc/brewer/settings"],
            "install": "brewer add hello",
            "works": "grep -q 7 /opt/brewer/hello",
            "again": "brewer add more && test -s /opt/brewer/more",
            "trials": [
                {"hazard": "wipe-fails", "run": "brewer wipe", "exit": 3},
                {"hazard": "clean-does-nothing", "run": "brewer clean"},
            ],
        }
    ],
    "sources": ["https://brewer.example"],
}


@pytest.fixture(scope="session")
def tiny(once: Once) -> Path:
    """Make an image with BusyBox and the manager: an OCI layout."""
    return once("tiny", _make_tiny)


def _make_tiny(layout: Path) -> None:
    folder = layout.with_name("tiny-parts")
    folder.mkdir()
    root = folder / "root"
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=extract", "--include=busybox-static", "bookworm"]
    subprocess.run([*command, str(folder / "debian")], check=True, stdin=subprocess.DEVNULL)
    for name in ("bin", "etc", "opt", "root", "srv", "tmp", "dev", "proc", "sys"):
        (root / name).mkdir(parents=True)
    shutil.copyfile(next((folder / "debian").glob("**/bin/busybox")), root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    for applet in APPLETS.split():
        (root / "bin" / applet).symlink_to("busybox")
    (root / "bin/brewer").write_text(BREWER)
    (root / "bin/brewer").chmod(0o755)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")  # Docker looks for it
    with tarfile.open(folder / "root.tar", "w") as archive:
        archive.add(root, ".")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from debian_base import write_layout
    finally:
        sys.path.pop(0)
    write_layout(folder / "root.tar", layout)


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    return tmp_path / "recipes"


@pytest.fixture
def place() -> Iterator[Path]:
    """Make a folder for the images, and see that nothing is left in it, or mounted."""
    folder = Path(f"/srv/test-{token_hex(3)}")  # short, as Podman wants it
    folder.mkdir()
    yield folder
    left = sorted(folder.iterdir())
    mounted = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]
    shutil.rmtree(folder, ignore_errors=True)
    assert (left, mounted) == ([], [])


def command(tiny: Path, recipes: Path, place: Path, *options: str, **changes: Any) -> list[str]:
    recipe = {**RECIPE, **{name: value for name, value in changes.items() if name in RECIPE}}
    proof = {**RECIPE["proof"][0], **{name: value for name, value in changes.items() if name not in RECIPE}}
    (recipes / "brewer.yaml").write_text(json.dumps({**recipe, "proof": [proof]}))
    return [
        *(sys.executable, "-m", "cleanroom", "prove", "brewer", "--recipes", str(recipes), "--certificates", ""),
        *("--base", f"tiny:1={tiny}", "--folder", str(place), *options),
    ]


def run(*arguments: Any, **changes: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments, **changes), capture_output=True, text=True, check=False, timeout=300)


def verdicts(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    (document,) = json.loads(done.stdout)
    (proof,) = document["proofs"]
    found = {item["remedy"]: (item["verdict"], item.get("reason", "")) for item in proof["remedies"]}
    found |= {item["run"]: (item["verdict"], item.get("reason", "")) for item in proof.get("cases", ())}
    return found | {item["hazard"]: (item["verdict"], item.get("reason", "")) for item in proof.get("hazards", ())}


@pytest.mark.parametrize("builder", ["buildah", "podman"])
def test_all_is_proved(tiny: Path, recipes: Path, place: Path, builder: str) -> None:
    needs(builder)
    done = run(tiny, recipes, place, "--engine", builder, "--given-bases", "--record", "--format", "json")
    assert done.returncode == 0, done.stderr + done.stdout
    assert set(verdicts(done).values()) == {("proved", "")}
    assert len(verdicts(done)) == 11
    recorded = json.loads((recipes / "proofs/brewer.json").read_text())
    assert [recorded] == json.loads(done.stdout)
    (proof,) = recorded["proofs"]
    assert proof["version"] == "brewer 2.1"
    assert proof["engine"].startswith(builder)
    assert proof["without"]["caches"] == {"cache": {"bytes": 5000, "files": 1}}
    assert proof["late"]["layer"] >= proof["without"]["layer"] > min(item["layer"] for item in proof["remedies"])


# One remedy of each kind, and a hazard.
SHORT: dict[str, Any] = {
    "remedies": [RECIPE["remedies"][index] for index in (0, 3, 4)],
    "trials": RECIPE["proof"][0]["trials"][:1],
}


def test_as_a_user_without_rights(tiny: Path, recipes: Path, place: Path) -> None:
    """Buildah has no rights at all; Python may read what lies in root's home, where it can be installed."""
    for program in ("newuidmap", "setpriv", "useradd"):
        needs(program)
    folder = place.with_name(f"{place.name}-user")
    (folder / "bin").mkdir(parents=True)
    wrapper = folder / "bin/buildah"
    wrapper.write_text(f'#!/bin/sh\nexec setpriv --inh-caps=-all --ambient-caps=-all {shutil.which("buildah")} "$@"\n')
    wrapper.chmod(0o755)
    name = folder.name
    subprocess.run(["useradd", "--home-dir", str(folder / "home"), "--create-home", name], check=True)
    try:
        shutil.copytree(tiny, folder / "layout")
        shutil.chown(place, name)
        line = command(folder / "layout", recipes, place, "--format", "json", **SHORT)
        rights = [f"--reuid={name}", f"--regid={name}", "--init-groups"]
        rights += [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
        done = subprocess.run(
            ["setpriv", *rights, *line],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder / "home")},
        )
        assert done.returncode == 0, done.stderr + done.stdout
        assert list(verdicts(done).values()) == [("proved", "")] * 8
    finally:
        subprocess.run(["userdel", name], check=True)
        shutil.rmtree(folder)


def needs(program: str, first: str = "") -> str:
    """Return where a program is, in the folder ``first`` or elsewhere; without it, the test cannot run."""
    found = shutil.which(program, path=f"{first}:{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture
def daemon() -> Iterator[dict[str, str]]:
    """Start a Docker daemon of its own; gives the variables by which its client, of the same version, finds it."""
    program, client = needs("dockerd"), needs("docker", first="/usr/bin")
    folder = Path(f"/srv/docker-{token_hex(3)}")
    folder.mkdir()
    address = f"unix://{folder}/socket"
    options = ["--iptables=false", "--bridge=none", "--storage-driver=vfs", "--host", address]
    options += [f"--{name}={folder}/{name}" for name in ("data-root", "exec-root", "pidfile")]
    log = (folder / "log").open("w")
    process = subprocess.Popen([program, *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: (folder / "socket").exists() or process.poll() is not None)
        if process.poll() is not None:
            pytest.skip(f"optional: no Docker daemon can run here: {(folder / 'log').read_text()[-300:]}")
        yield {"DOCKER_HOST": address, "PATH": f"{Path(client).parent}:{os.environ['PATH']}"}
    finally:
        process.terminate()
        process.wait(60)
        log.close()
        engines.remove(folder)


def test_by_docker(
    tiny: Path, recipes: Path, place: Path, daemon: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in daemon.items():
        monkeypatch.setenv(variable, value)
    done = run(tiny, recipes, place, "--engine", "docker", "--format", "json", **SHORT)
    assert done.returncode == 0, done.stderr + done.stdout
    assert list(verdicts(done).values()) == [("proved", "")] * 8
    images = subprocess.run(["docker", "images", "--all", "--quiet"], capture_output=True, text=True, check=True)
    assert not images.stdout


def test_a_build_of_docker_that_hangs_is_ended(
    tiny: Path, recipes: Path, place: Path, daemon: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in daemon.items():
        monkeypatch.setenv(variable, value)
    limit = ["--time-limit", "5"]
    done = run(tiny, recipes, place, "--engine", "docker", *limit, install="brewer add hello && brewer hang")
    assert done.returncode == 2
    assert "took longer than 5 seconds" in done.stderr
    images = subprocess.run(["docker", "images", "--all", "--quiet"], capture_output=True, text=True, check=True)
    assert not images.stdout
    folder = Path(daemon["DOCKER_HOST"].removeprefix("unix://")).parent
    wait_for(lambda: not sleeping(folder))


def test_what_stays_mounted_is_not_removed(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place / "a store"
    (folder / "mounted").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder / "mounted")], check=True)
    (folder / "mounted/file").touch()
    (tmp_path / "umount").write_text("#!/bin/sh\nexit 32\n")
    (tmp_path / "umount").chmod(0o755)
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{tmp_path}:{path}")
    with pytest.raises(engines.EngineError, match="a store/mounted"):
        engines.remove(folder)
    monkeypatch.setenv("PATH", path)
    assert (folder / "mounted/file").exists()
    engines.remove(folder)
    assert not folder.exists()


def test_what_is_not_proved_says_why(tiny: Path, recipes: Path, place: Path) -> None:
    purge = "brewer purge"
    reasons = {
        "true": "5,000 of 5,000 bytes stay in cache",
        "brewer purge-all": "/opt/brewer/hello is gone",
        "brewer purge-more": "/etc/brewer is gone",
        "brewer wipe": "the build fails",
        f"{purge} && true > /bin/brewer": "/bin/brewer has other content, 0 bytes",
        "mv ~/.cache/brewer /keep": "/keep is new",
        f"{purge} && head -c 5000000 /dev/zero > /var.bin": "/var.bin is new",
        f"{purge} && head -c 50 /dev/zero > /var.bin": "/var.bin is new",
        f"{purge} && true > /opt/brewer/hello": "/opt/brewer/hello has other content, 0 bytes",
        f"{purge} && chmod 600 /etc/passwd": "/etc/passwd has the rights 600, not 644",
        f"{purge} && chmod -R 0 /opt/brewer": "/opt/brewer has the rights 0, not 755; /opt/brewer/",
        f"{purge} && rm -rf /srv": "/srv is gone",
        f"{purge} && rm /bin/ls && cp /bin/busybox /bin/ls": "/bin/ls is a file, not a link",
        f"{purge} && chown 7:8 /etc/group": "/etc/group belongs to 7:8, not 0:0",
        "rm -rf ~/.cache/brewer && mkdir -p ~/.cache/brewery/x": "/root/.cache/brewery is new",
    }
    remedies = [{"kind": "clean", "caches": ["cache"], "run": line} for line in reasons]
    trials = [
        {"hazard": "wipe-fails", "run": "brewer clean", "exit": 3},
        {"hazard": "clean-does-nothing", "run": "brewer purge"},
    ]
    done = run(tiny, recipes, place, "--quick", "--format", "json", remedies=remedies, trials=trials)
    assert done.returncode == 1, done.stderr
    found = verdicts(done)
    for line, reason in reasons.items():
        assert found[line][0] == "failed", line
        assert found[line][1].removeprefix("changes what is no cache: ").startswith(reason), line
    assert found["wipe-fails"] == ("failed", "the command exits 0")
    assert found["clean-does-nothing"] == ("failed", "cache holds 0 bytes after it, 5,000 without it")


def test_hazards_that_do_not_happen(tiny: Path, recipes: Path, place: Path) -> None:
    hazards = [
        *RECIPE["hazards"],
        {"id": "asks", "what": "brewer asks", "effect": "asks"},
        {"id": "fills", "what": "brewer fills the cache again", "effect": "refills"},
        {"id": "nothing-2", "what": "brewer frees nothing", "effect": "nothing"},
        {"id": "wipe-2", "what": "brewer wipe exits 4", "effect": "fails"},
        {"id": "wipe-3", "what": "brewer wipe exits 4", "effect": "fails"},
    ]
    trials = [
        {"hazard": "wipe-fails", "run": "brewery wipe", "exit": 3},
        {"hazard": "clean-does-nothing", "run": "brewery clean"},
        {"hazard": "asks", "run": "printf 'Really?'", "prompt": "[y/N]"},
        {"hazard": "fills", "run": "brewer purge"},
        {"hazard": "nothing-2", "run": "brewer wipe"},
        {"hazard": "wipe-2", "run": "brewer wipe", "exit": 4},
        {"hazard": "wipe-3", "run": "/etc/passwd", "exit": 4},
    ]
    changes = {"hazards": hazards, "trials": trials, "remedies": RECIPE["remedies"][3:4]}
    found = verdicts(run(tiny, recipes, place, "--quick", "--format", "json", **changes))
    assert found["wipe-fails"][0] == found["clean-does-nothing"][0] == found["wipe-3"][0] == "void"
    assert found["asks"] == ("failed", "the command does not ask '[y/N]'")
    assert found["fills"] == ("failed", "cache is not filled again")
    assert found["nothing-2"][1].startswith("the command exits 3")
    assert found["wipe-2"][1].startswith("the command exits 3, not 4")


def test_what_the_engine_says_is_compared(tiny: Path, recipes: Path, place: Path) -> None:
    """Of a recipe that tells wrongly what fills the cache, what empties it and what keeps it out."""
    cases = ["brewer keep hello", "brewer --version", "brewer add hello && rm -rf ~/.cache/brewer"]
    cleanups = [{"use": {"verbs": ["purge", "clean"]}, "empties": ["cache"]}]
    preventions = [*RECIPE["preventions"], {"caches": ["cache"], "variable": "BREWER_OFF", "values": ["1"]}]
    caches = [{**RECIPE["caches"][0], "filled_by": [{"verbs": ["add", "--version"]}]}]
    changes = {"cases": cases, "cleanups": cleanups, "preventions": preventions, "caches": caches}
    found = verdicts(run(tiny, recipes, place, "--format", "json", **changes, trials=SHORT["trials"]))
    assert found["brewer keep hello"] == ("failed", "cleanroom says that cache is empty, and it holds 5,000 bytes")
    assert found["brewer --version"][0] == "proved"  # no verb, to the engine
    assert found["brewer add hello && rm -rf ~/.cache/brewer"] == ("proved", "")
    assert found["brewer add hello && brewer purge"] == ("proved", "")
    assert found["brewer add hello && brewer clean"][0] == "failed"
    assert found["export BREWER_CACHE=/nowhere && brewer add hello"] == ("proved", "")
    assert found["export BREWER_OFF=1 && brewer add hello"][0] == "failed"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"setup": ["brewer wipe"]}, "what the proof begins from cannot be built"),
        ({"registry": ["false"]}, "what the proof begins from cannot be built"),
        ({"install": "brewer add nothing"}, "the install fails by itself"),
        ({"works": "test -e /nowhere"}, "without a remedy, too, what was installed does not work"),
        ({"again": "brewer wipe"}, "without a remedy, too, a second install fails"),
        ({"base": "nowhere.invalid/nothing:1"}, "the base nowhere.invalid/nothing:1 cannot be had"),
        ({"setup": ["--mount=type=bind,from=x true"]}, "no line of shell"),
    ],
)
def test_what_cannot_be_run(tiny: Path, recipes: Path, place: Path, changes: dict[str, Any], says: str) -> None:
    done = run(tiny, recipes, place, **changes)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_build_that_hangs_is_ended(tiny: Path, recipes: Path, place: Path) -> None:
    done = run(tiny, recipes, place, "--time-limit", "5", install="brewer add hello && brewer hang")
    assert done.returncode == 2
    assert "took longer than 5 seconds" in done.stderr
    assert not hanging(place)


def test_what_an_install_leaves_running_is_ended(tiny: Path, recipes: Path, place: Path) -> None:
    long = str(1_000_000 + int(token_hex(4), 16))
    start = f"(sleep {long} >/dev/null 2>&1 </dev/null &)"
    done = run(tiny, recipes, place, install=f"brewer add hello && {start}", remedies=SHORT["remedies"][1:2])
    assert done.returncode == 0, done.stderr
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            assert file.read_text() != f"sleep\0{long}\0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(tiny: Path, recipes: Path, place: Path, number: int) -> None:
    # A shell starts what it puts into the background with SIGINT ignored, and that is inherited: by these tests too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command(tiny, recipes, place, install="brewer add hello && brewer hang"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, before)
    try:
        wait_for(lambda: hanging(place))
        process.send_signal(number)
        said = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Interrupted." in said
    assert not hanging(place)


def test_what_a_killed_run_left_goes_with_the_next(tiny: Path, recipes: Path, place: Path) -> None:
    process = subprocess.Popen(
        command(tiny, recipes, place, install="brewer add hello && brewer hang"), stderr=subprocess.DEVNULL
    )
    wait_for(lambda: hanging(place))
    process.kill()
    process.wait()
    (left,) = place.iterdir()
    for number in hanging(place):
        with contextlib.suppress(ProcessLookupError):  # with the first process of a container, the kernel ends the rest
            os.kill(number, signal.SIGKILL)
    assert run(tiny, recipes, place).returncode == 0
    assert not left.exists()


def test_two_at_once(tiny: Path, recipes: Path, place: Path) -> None:
    line = command(tiny, recipes, place, "--format", "json")
    both = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [len(json.loads(text)[0]["proofs"][0]["remedies"]) for text in said] == [5, 5]


def test_a_full_disk_is_named(tiny: Path, recipes: Path, place: Path) -> None:
    small = place.with_name(f"{place.name}-small")
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(small)], check=True)
    try:
        done = run(tiny, recipes, small, install="brewer add hello && brewer fill")
        assert done.returncode == 2
        assert "no room is left" in done.stderr
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)
        small.rmdir()


def hanging(place: Path) -> list[int]:
    """Return the processes that run in a container below ``place``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder.joinpath("root").readlink()).startswith(str(place)):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def sleeping(folder: Path) -> list[str]:
    """Return the processes that hang in a container of the Docker daemon whose files lie in ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_text() != "sleep\0001000\0":
                continue
            if str(folder) in (process / "mountinfo").read_text():
                found.append(process.name)
        except OSError:
            continue
    return found


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.parametrize(("manager", "only"), [("apt", "official"), ("npm", ""), ("pip", "")])
def test_managers(manager: str, only: str, slim: Path, place: Path) -> None:
    line = [sys.executable, "-m", "cleanroom", "prove", manager, "--quick", "--only", only]
    line += ["--base", f"debian:12-slim={slim}", "--folder", str(place)]
    done = subprocess.run([*line, "--format", "json"], capture_output=True, text=True, check=False, timeout=1200)
    (document,) = json.loads(done.stdout)
    assert document["proofs"], done.stderr
    for proof in document["proofs"]:
        for item in proof["remedies"] + proof.get("hazards", []):
            assert item["verdict"] == "proved", item


@pytest.fixture(scope="session")
def slim(once: Once) -> Path:
    """Make an image as the official one of Debian is: an OCI layout."""

    def make(layout: Path) -> None:
        tool = [sys.executable, str(ROOT / "tools/debian_base.py"), "--slim", "bookworm", str(layout)]
        subprocess.run(tool, check=True)

    return once("slim", make)
