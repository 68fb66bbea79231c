#!/usr/bin/env python3
"""PyPI `moto`: a store in memory, behind whose answers other people's test suites stand."""

from archiving import Server, Store, prove

with Server(["moto_server", "-H", "127.0.0.1", "-p", "0"], r"Running on (http://\S+)") as server:
    prove(Store("moto (a store)", server.endpoint, "AKMOTO", "SKMOTO", without=("list of parts",)))
