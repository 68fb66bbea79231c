#!/usr/bin/env python3
"""Ceph's object store, where `radosgw`, `ceph-mon`, `ceph-osd` and `ceph-common` are installed: a cluster of one of each."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

from archiving import SCRATCH, Store, prove

PROGRAMS = ("radosgw", "ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool", "radosgw-admin")
CONF = """[global]
fsid = {fsid}
mon host = 127.0.0.1:{mon}
mon initial members = a
keyring = {folder}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon osd full ratio = 0.99
mon osd nearfull ratio = 0.98
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
bluestore block size = 4294967296
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{rgw}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*command):
    return subprocess.run(command, check=True, timeout=60, capture_output=True)


def until(condition, what):
    end = time.monotonic() + 90
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within 90 s")
        time.sleep(0.5)


def serves(address):
    try:
        return urllib.request.urlopen(address, timeout=2).status == 200
    except OSError:
        return False


def cluster(folder, rgw):
    """Starts one of each; yields their processes as they come."""
    fsid, mon = str(uuid.uuid4()), free_port()
    for name in ("mon", "osd"):
        (folder / name).mkdir(parents=True)
    (folder / "ceph.conf").write_text(CONF.format(fsid=fsid, mon=mon, rgw=rgw, folder=folder))
    os.environ["CEPH_CONF"] = str(folder / "ceph.conf")
    ring, monmap = folder / "keyring", folder / "monmap"
    run("ceph-authtool", "--create-keyring", ring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    for name in ("client.admin", "client.rgw", "osd.0"):
        run("ceph-authtool", ring, "--gen-key", "-n", name, "--cap", "mon", "allow *", "--cap", "osd", "allow *")
    run("monmaptool", "--create", "--fsid", fsid, "--add", "a", f"127.0.0.1:{mon}", monmap)
    run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", ring)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    yield subprocess.Popen(["ceph-mon", "-f", "-i", "a"], **quiet)
    run("ceph", "auth", "import", "-i", ring)
    osd = str(uuid.uuid4())
    run("ceph", "osd", "create", osd)
    run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    yield subprocess.Popen(["ceph-osd", "-f", "-i", "0"], **quiet)
    until(lambda: b"1 up" in run("ceph", "osd", "stat").stdout, "the object storage daemon")
    yield subprocess.Popen(["radosgw", "-f", "-n", "client.rgw", "--no-mon-config"], **quiet)
    until(lambda: serves(f"http://127.0.0.1:{rgw}"), "the gateway")
    run("radosgw-admin", "user", "create", "--uid=keeper", "--display-name=keeper", "--access-key=AKCEPH", "--secret=SKCEPH")


if absent := [program for program in PROGRAMS if not shutil.which(program)]:
    print("Ceph radosgw (a store)", "every operation", "not-offered", f"not installed: {' '.join(absent)}", sep="\t")
    sys.exit(0)
processes, rgw = [], free_port()
try:
    processes.extend(cluster(SCRATCH / "cluster", rgw))
    prove(Store("Ceph radosgw (a store)", f"http://127.0.0.1:{rgw}", "AKCEPH", "SKCEPH"))
finally:
    for process in reversed(processes):
        process.kill()
        process.wait()
