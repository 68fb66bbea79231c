#!/usr/bin/env python3
"""`rclone serve s3`: a folder as a store, without versions, tags, locks or access control lists."""

from archiving import SCRATCH, Server, Store, prove

(SCRATCH / "served").mkdir()
command = ["rclone", "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", "AKRCLONE,SKRCLONE", SCRATCH / "served"]
with Server(command, r"Starting s3 server on \[(http://[^/\]]+)") as server:
    prove(Store("rclone serve s3 (a store)", server.endpoint, "AKRCLONE", "SKRCLONE", without=("tags", "lock")))
