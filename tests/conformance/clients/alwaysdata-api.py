#!/usr/bin/env python3
"""PyPI `alwaysdata-api`: domains and records, as its users write them."""

import os

import alwaysdata_api
import requests
from alwaysdata_api import Auth, Domain, Record
from check import Report, refused, within

report = Report("alwaysdata-api")
check, env = report.check, os.environ
alwaysdata_api.api_root = env["ALWAYSDATA_API_URL"].removesuffix("/v1").rstrip("/") + "/"
auth = Auth(env["ALWAYSDATA_ACCOUNT"], env["ALWAYSDATA_API_KEY"])
zone, kept = env["DNS_ZONE"], {}


def records(**wanted):
    return Record.list(auth=auth, domain=kept["domain"].id, **wanted)


@check("Domain.list: substring of the name")
def _():
    found = [one for one in Domain.list(auth=auth, name=zone[:4]) if one.name == zone]
    assert len(found) == 1, found
    kept["domain"] = found[0]
    assert kept["domain"].href == f"/v1/domain/{kept['domain'].id}/"


@check("Domain.get: without the final slash")
def _():
    assert Domain.get(kept["domain"].id, auth=auth).name == zone


@check("Domain.whois")
def _():
    answer = alwaysdata_api.Domain.request("POST", f"/v1/domain/{kept['domain'].id}/whois/", auth=auth)
    assert zone in answer.text.lower()


@check("Record.list: by domain and type")
def _():
    servers = records(type="NS")
    assert servers and all(one.type == "NS" for one in servers)
    # The client itself turns `{"href": "/v1/domain/7/"}` into the number.
    assert all(one.domain == kept["domain"].id for one in servers)


@check("Record.post: a TXT record")
def _():
    Record(domain=kept["domain"].id, type="TXT", name="py-text", value="bonjour é", ttl=300).post(auth=auth)
    within(10, lambda: any(one.value == "bonjour é" for one in records(name="py-text", type="TXT")))


@check("Record.patch: only what changed")
def _():
    one = records(name="py-text", type="TXT")[0]
    Record(href=one.href, value="changed").patch(auth=auth)
    within(10, lambda: records(name="py-text", type="TXT")[0].value == "changed")
    assert records(name="py-text", type="TXT")[0].ttl == 300


@check("Record.put: the whole record")
def _():
    one = records(name="py-text", type="TXT")[0]
    whole = Record(href=one.href, domain=kept["domain"].id, type="TXT", name="py-text", value="put", ttl=60)
    whole.put(auth=auth)
    within(10, lambda: records(name="py-text", type="TXT")[0].value == "put")


@check("Record.get")
def _():
    one = records(name="py-text", type="TXT")[0]
    assert Record.get(one.id, auth=auth).value == "put"


@check("Record.post: a CNAME beside it is refused")
def _():
    alias = Record(domain=kept["domain"].id, type="CNAME", name="py-text", value="elsewhere.test", ttl=300)
    error = refused(requests.HTTPError, lambda: alias.post(auth=auth))
    assert 400 <= error.response.status_code < 500


@check("Record.delete, twice")
def _():
    one = records(name="py-text", type="TXT")[0]
    one.delete(auth=auth)
    within(10, lambda: not records(name="py-text", type="TXT"))
    error = refused(requests.HTTPError, lambda: one.delete(auth=auth))
    assert error.response.status_code == 404


@check("a wrong key, another account")
def _():
    error = refused(requests.HTTPError, lambda: Domain.list(auth=Auth(env["ALWAYSDATA_ACCOUNT"], "wrong")))
    assert error.response.status_code == 401
    assert Domain.list(auth=Auth("somebody-else", env["ALWAYSDATA_API_KEY"])) == []
