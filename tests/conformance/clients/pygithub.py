#!/usr/bin/env python3
"""PyGithub: runs, filters, paging, artifacts, dispatch, rate limit."""

import hashlib
import os
import subprocess
import sys

import requests
from check import Report, refused, within
from github import Auth, BadCredentialsException, Github, UnknownObjectException

report = Report("pygithub")
check, env = report.check, os.environ
github = Github(
    auth=Auth.Token(env["GITHUB_TOKEN"]),
    base_url=env["GITHUB_API_URL"],
    per_page=3,
    retry=None,
    seconds_between_requests=0,
    seconds_between_writes=0,
)
kept = {}


@check("get_repo")
def _():
    kept["repo"] = github.get_repo(env["GITHUB_REPOSITORY"])
    assert kept["repo"].full_name == env["GITHUB_REPOSITORY"]
    assert kept["repo"].default_branch == "main"


@check("get_workflow, get_workflows")
def _():
    kept["workflow"] = kept["repo"].get_workflow(env["GITHUB_WORKFLOW"])
    assert kept["workflow"].path.endswith(env["GITHUB_WORKFLOW"])
    assert kept["workflow"].id in [one.id for one in kept["repo"].get_workflows()]


@check("workflow.get_runs: all pages")
def _():
    runs = kept["workflow"].get_runs()
    kept["runs"] = list(runs)
    assert len(kept["runs"]) == runs.totalCount > 3
    assert len({run.id for run in kept["runs"]}) == len(kept["runs"])
    newest = [run.created_at for run in kept["runs"]]
    assert newest == sorted(newest, reverse=True)


@check("workflow.get_runs: filters")
def _():
    runs = list(kept["workflow"].get_runs(status="success", branch="main"))
    assert runs and all(run.conclusion == "success" and run.head_branch == "main" for run in runs)
    assert len(runs) < len(kept["runs"])


@check("get_workflow_run; absent")
def _():
    assert kept["repo"].get_workflow_run(kept["runs"][0].id).run_number
    refused(UnknownObjectException, lambda: kept["repo"].get_workflow_run(1))


@check("run.get_artifacts")
def _():
    run = next(run for run in kept["runs"] if (run.conclusion, run.event) == ("success", "schedule"))
    artifacts = list(run.get_artifacts())
    assert artifacts and all(one.size_in_bytes > 0 and one.name for one in artifacts)


@check("repo.get_artifacts, get_artifact")
def _():
    every = list(kept["repo"].get_artifacts())
    kept["artifact"] = [one for one in every if not one.expired and one.name != "journal.txt"][-1]
    assert kept["repo"].get_artifact(kept["artifact"].id).name == kept["artifact"].name


@check("artifact.archive_download_url with requests")
def _():
    with requests.get(
        kept["artifact"].archive_download_url,
        headers={"Authorization": f"Bearer {env['GITHUB_TOKEN']}"},
        timeout=60,
    ) as answer:
        answer.raise_for_status()
        assert [step.status_code for step in answer.history] == [302]
        size = len(answer.content)
        assert size == kept["artifact"].size_in_bytes, f"{size} bytes"
        kept["digest"] = hashlib.sha256(answer.content).hexdigest()


report.not_offered("artifact download", "the library gives the URL, its users download with requests")


@check("workflow.create_dispatch")
def _():
    before = {run.id for run in kept["runs"]}
    assert kept["workflow"].create_dispatch("main")
    within(20, lambda: any(run.id not in before for run in kept["workflow"].get_runs(event="workflow_dispatch")))
    within(60, lambda: all(run.conclusion == "success" for run in kept["workflow"].get_runs(event="workflow_dispatch")))


@check("get_rate_limit")
def _():
    limits = github.get_rate_limit()
    core = getattr(limits, "core", None) or limits.resources.core
    assert core.limit == 5000 and 0 < core.remaining <= 5000
    assert github.rate_limiting[1] == 5000


# As its users write it: without an address, and the library insists on the host that it knows.
BUILT_IN = """
import os
from github import Auth, Github
repo = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]), per_page=2, retry=None).get_repo(os.environ["GITHUB_REPOSITORY"])
runs = list(repo.get_workflow(os.environ["GITHUB_WORKFLOW"]).get_runs())
assert len(runs) > 3, runs
jobs = list(runs[-1].jobs())
assert len(jobs) == 1 and jobs[0].run_id == runs[-1].id, jobs
assert all(one.name for one in runs[-1].get_artifacts())
"""
INSIDE = [env["SANDBOX"], "exec", "--dir", env["WORLD"], "--"]
if subprocess.run([*INSIDE, "true"], check=False).returncode == 125:
    report.not_offered("built-in host name", "namespaces are not allowed here")
else:

    @check("built-in host name: runs on all pages, jobs, artifacts")
    def _():
        ran = subprocess.run([*INSIDE, sys.executable, "-c", BUILT_IN], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr.strip().splitlines()[-1:]


@check("bad credentials")
def _():
    stranger = Github(auth=Auth.Token("wrong"), base_url=env["GITHUB_API_URL"], retry=None)
    refused(BadCredentialsException, lambda: stranger.get_repo(env["GITHUB_REPOSITORY"]))
