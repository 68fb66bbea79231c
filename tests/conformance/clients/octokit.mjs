#!/usr/bin/env node
// octokit (npm), with its paging, retry and throttling plugins as everybody uses it, and @octokit/rest.
import { createRequire } from "node:module";
import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import { assert, refused, reporter, within } from "../lib/check.mjs";

const require = createRequire(`${process.env.CONFORMANCE}/node/package.json`);
const load = async (name) => {
  // These packages offer no CommonJS entry: their folder, then what their description names.
  const folder = require.resolve.paths(name).map((base) => `${base}/${name}`).find((path) => {
    try {
      return require(`${path}/package.json`);
    } catch {
      return false;
    }
  });
  const about = require(`${folder}/package.json`);
  const entry = about.exports?.["."]?.import ?? about.exports?.["."]?.default ?? about.module ?? about.main;
  return import(pathToFileURL(`${folder}/${entry}`).href);
};
const { Octokit: Rest } = await load("@octokit/rest");
const { Octokit } = await load("octokit");
const env = process.env;
const [owner, repo] = env.GITHUB_REPOSITORY.split("/");
const settings = { auth: env.GITHUB_TOKEN, baseUrl: env.GITHUB_API_URL, userAgent: "conformance" };
const { check } = reporter("octokit");
const github = new Octokit(settings);
const rest = new Rest(settings);
const here = { owner, repo, workflow_id: env.GITHUB_WORKFLOW };
let all, artifact;

await check("repos.get", async () => assert.equal((await rest.repos.get(here)).data.full_name, env.GITHUB_REPOSITORY));
await check("actions.listRepoWorkflows", async () => {
  const { data } = await rest.actions.listRepoWorkflows(here);
  assert.ok(data.workflows.some((one) => one.path.endsWith(env.GITHUB_WORKFLOW)));
});
await check("actions.listWorkflowRuns", async () => {
  const { data, headers } = await github.rest.actions.listWorkflowRuns({ ...here, per_page: 2 });
  assert.equal(data.workflow_runs.length, 2);
  assert.match(headers.link, /rel="next"/);
});
await check("paginate(listWorkflowRuns)", async () => {
  all = await github.paginate(github.rest.actions.listWorkflowRuns, { ...here, per_page: 3 });
  const { data } = await github.rest.actions.listWorkflowRuns({ ...here, per_page: 1 });
  assert.equal(all.length, data.total_count);
  assert.equal(new Set(all.map((one) => one.id)).size, all.length);
});
await check("paginate.iterator", async () => {
  let pages = 0;
  for await (const { data } of github.paginate.iterator(github.rest.actions.listWorkflowRuns, { ...here, per_page: 4 }))
    pages += data.length > 0 ? 1 : 0;
  assert.equal(pages, Math.ceil(all.length / 4));
});
await check("listWorkflowRuns: filters", async () => {
  const { data } = await rest.actions.listWorkflowRuns({ ...here, status: "success", branch: "main" });
  assert.ok(data.workflow_runs.every((one) => one.conclusion === "success" && one.head_branch === "main"));
  assert.ok(data.total_count > 0 && data.total_count < all.length);
});
await check("actions.getWorkflowRun; absent", async () => {
  assert.equal((await rest.actions.getWorkflowRun({ ...here, run_id: all[0].id })).data.id, all[0].id);
  await refused(404, () => rest.actions.getWorkflowRun({ ...here, run_id: 1 }));
});
await check("actions.listWorkflowRunArtifacts", async () => {
  const run_id = all.find((one) => one.conclusion === "success" && one.event === "schedule").id;
  const { data } = await rest.actions.listWorkflowRunArtifacts({ ...here, run_id });
  assert.ok(data.total_count > 0);
  assert.equal(data.artifacts.length, data.total_count);
});
await check("actions.listArtifactsForRepo, getArtifact", async () => {
  const every = await github.paginate(github.rest.actions.listArtifactsForRepo, { ...here, per_page: 2 });
  artifact = every.filter((one) => !one.expired && one.digest && one.name !== "journal.txt").at(-1);
  assert.equal((await rest.actions.getArtifact({ ...here, artifact_id: artifact.id })).data.name, artifact.name);
});
await check("actions.downloadArtifact: follows the 302", async () => {
  const { data } = await rest.actions.downloadArtifact({ ...here, artifact_id: artifact.id, archive_format: "zip" });
  const digest = createHash("sha256").update(Buffer.from(data)).digest("hex");
  assert.equal(`sha256:${digest}`, artifact.digest);
});
await check("actions.downloadArtifact: expired is 410", async () => {
  const { data } = await rest.actions.listArtifactsForRepo({ ...here, per_page: 100 });
  const old = data.artifacts.find((one) => one.expired);
  const request = { ...here, artifact_id: old.id, archive_format: "zip" };
  await refused(410, () => rest.actions.downloadArtifact(request));
});
await check("If-None-Match: 304", async () => {
  const first = await rest.actions.listWorkflowRuns(here);
  await refused(304, () => rest.actions.listWorkflowRuns({ ...here, headers: { "if-none-match": first.headers.etag } }));
});
await check("rateLimit.get", async () => assert.equal((await rest.rateLimit.get()).data.resources.core.limit, 5000));
await check("actions.createWorkflowDispatch", async () => {
  const before = all.map((one) => one.id);
  const answer = await rest.actions.createWorkflowDispatch({ ...here, ref: "main" });
  assert.ok([200, 204].includes(answer.status));
  await within(20, async () => {
    const { data } = await rest.actions.listWorkflowRuns({ ...here, event: "workflow_dispatch" });
    return data.workflow_runs.some((one) => !before.includes(one.id));
  });
  await within(60, async () => {
    const { data } = await rest.actions.listWorkflowRuns({ ...here, event: "workflow_dispatch" });
    return data.workflow_runs.every((one) => one.conclusion === "success");
  });
});
await check("bad credentials", () => refused(401, () => new Rest({ ...settings, auth: "wrong" }).repos.get(here)));
process.exit(0);
