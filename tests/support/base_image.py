"""What is in an image that a simulated build begins from: folders, users, the files that recipes ask about."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cleanroom.recipes.model import Base

from .sandbox import HIDDEN, inside

_FOLDERS = (
    *(
        "root",
        "home",
        "tmp",
        "var/tmp",
        "var/lib",
        "var/cache",
        "var/log",
        "var/run",
        "run",
        "opt",
        "srv",
        "mnt",
        "media",
    ),
    *(
        "usr/local/lib",
        "usr/local/share",
        "usr/local/src",
        "usr/local/include",
        "usr/local/etc",
        "usr/src",
        "usr/share/doc",
    ),
    *(
        "usr/share/man",
        "usr/share/locale",
        "usr/share/keyrings",
        "usr/include",
        "etc/ssl/certs",
        "etc/default",
        "etc/init.d",
    ),
    *("etc/profile.d", "etc/skel", "etc/cron.d", "etc/sudoers.d", "etc/ld.so.conf.d", "etc/security"),
)
_OF_FAMILY: Mapping[str, tuple[str, ...]] = {
    "debian": (
        *("etc/apt/apt.conf.d", "etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d"),
        *(
            "etc/apt/keyrings",
            "var/lib/apt/lists",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg/info",
            "var/cache/debconf",
        ),
        *("etc/dpkg/dpkg.cfg.d", "usr/share/doc", "var/lib/dpkg/triggers"),
    ),
    "alpine": ("etc/apk/keys", "var/cache/apk", "lib/apk/db"),
    "rhel": (
        "etc/yum.repos.d",
        "etc/yum",
        "etc/dnf",
        "var/cache/yum",
        "var/cache/dnf",
        "var/lib/rpm",
        "etc/pki/rpm-gpg",
    ),
}
_FILES = (
    *("etc/apt/sources.list", "etc/hosts", "etc/resolv.conf", "etc/profile", "etc/bash.bashrc", "etc/environment"),
    *("root/.bashrc", "root/.profile", "etc/localtime", "etc/timezone", "etc/shadow", "etc/sudoers", "etc/fstab"),
    *("etc/ld.so.conf", "etc/locale.gen", "etc/security/limits.conf", "etc/sysctl.conf", "etc/inputrc", "etc/issue"),
    *("etc/nsswitch.conf", "etc/shells", "etc/ssl/openssl.cnf", "etc/ssl/certs/ca-certificates.crt"),
)
_SYSTEM = (  # users and groups of Debian and of images that are often built upon
    *(
        "daemon",
        "bin",
        "sys",
        "www-data",
        "mail",
        "games",
        "man",
        "lp",
        "news",
        "proxy",
        "backup",
        "adm",
        "sudo",
        "staff",
    ),
    *("users", "wheel", "audio", "video", "tty", "disk", "docker", "_apt"),
)
_IDENTITY = {"alpine": "alpine", "rhel": "centos", "suse": "opensuse", "arch": "arch"}


def furnish(root: Path, base: Base) -> None:
    """Fill a root folder that has programs, as the image ``base`` would."""
    for folder in (*_FOLDERS, *_OF_FAMILY.get(base.family, _OF_FAMILY["debian"])):
        os.makedirs(root / folder, exist_ok=True)
    for name in _FILES:
        if (root / name).parent.is_dir():
            (root / name).touch()
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    (root / "root").chmod(0o700)
    (root / "usr/bin/sh").unlink()
    (root / "usr/bin/sh").symlink_to(f"/{HIDDEN}/bin/{'bash' if base.sh == 'bash' else 'dash'}")
    users = [("root", 0, "/root"), ("nobody", 65534, "/nonexistent"), *((n, i, "/") for i, n in enumerate(_SYSTEM, 2))]
    (root / "etc/passwd").write_text("".join(f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n" for name, uid, home in users))
    groups = "".join(f"{name}:x:{uid}:\n" for name, uid, _ in users)
    (root / "etc/group").write_text(f"{groups}nogroup:x:65533:\n")
    identity = _IDENTITY.get(base.family, "debian")
    (root / "etc/os-release").write_text(f'ID={identity}\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    for file in base.files:
        place = inside(root, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
