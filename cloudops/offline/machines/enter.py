"""Enters a container and becomes its program: ``python -I enter.py CONFIGURATION``. Standard library only.

The configuration is a JSON file: ``containers``, a list in which ``CLOUDOPS_RANK`` chooses, each with ``argv``,
``env``, ``cwd``, ``overlaid`` (a folder of this machine, which may be the root), ``overlay`` (the folder that stands
for it, with a place for everything that is in the other), ``own`` (names in the overlay to the folders that they are),
``hosts`` (the file that becomes ``/etc/hosts``) and ``hostname``; ``isolated``: whether it has no network but a
loopback of its own; ``literal``: whether to give the process a mount namespace of its own; ``keep``: variables that
are handed on.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

_NEWNS, _NEWUTS, _NEWUSER, _NEWNET = 0x00020000, 0x04000000, 0x10000000, 0x40000000
_BIND, _REC, _PRIVATE = 4096, 16384, 1 << 18
_PDEATHSIG = 1


def main(path: str) -> int:
    """Become the program; returns only where it cannot be started."""
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    own = config["containers"][int(os.environ.get("CLOUDOPS_RANK", "0"))]
    env = {name: os.environ[name] for name in config["keep"] if name in os.environ}
    env.update(own["env"])
    if config["literal"]:
        enter(own)
    os.chdir(own["cwd"])
    try:
        os.execvpe(own["argv"][0], own["argv"], env)
    except OSError as error:
        sys.stderr.write("cannot start {!r}: {}\n".format(own["argv"][0], error.strerror))
        return 127 if isinstance(error, FileNotFoundError) else 126


def enter(own: Mapping[str, Any]) -> None:
    """Move into a user, mount and host name namespace in which its own places are the container's."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent, uid, gid = os.getppid(), os.getuid(), os.getgid()
    network = _NEWNET if own["isolated"] else 0
    _call(libc.unshare(_NEWUSER | _NEWNS | _NEWUTS | network), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {uid} 1")
    _write("/proc/self/gid_map", f"0 {gid} 1")
    if own["isolated"]:
        _loopback_up()
    _mount(libc, "none", "/", _REC | _PRIVATE)
    if own["hosts"]:
        _mount(libc, own["hosts"], "/etc/hosts", _BIND)
        _call(libc.sethostname(own["hostname"].encode(), len(own["hostname"])), "sethostname")
    _overlay(libc, own["overlaid"], own["overlay"], own["own"])
    # New credentials have cleared what the engine had asked for: to be killed with the supervisor.
    libc.prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _overlay(libc: ctypes.CDLL, overlaid: str, overlay: str, own: Mapping[str, str]) -> None:
    """Have ``overlay`` stand for ``overlaid``: with all that is there, and with the container's own folders."""

    def contains(name: str) -> bool:
        return overlay.startswith(os.path.join(overlaid, name) + "/")

    # The one that the overlay lies in goes first, or it would be mounted with what is mounted there already.
    for name in sorted(os.listdir(overlaid), key=lambda name: not contains(name)):
        source, place = os.path.join(overlaid, name), os.path.join(overlay, name)
        if name not in own and not os.path.islink(place) and os.path.exists(place):
            _mount(libc, source, place, _BIND | _REC)
    for name, folder in own.items():
        _mount(libc, folder, os.path.join(overlay, name), _BIND | _REC)
    if overlaid == "/":
        os.chroot(overlay)
    else:
        _mount(libc, overlay, overlaid, _BIND | _REC)


def _loopback_up() -> None:
    """Have the loopback interface of a new network namespace work."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING


def _mount(libc: ctypes.CDLL, source: str, target: str, flags: int) -> None:
    _call(libc.mount(source.encode(), target.encode(), None, flags, None), f"mount {source} at {target}")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _call(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
