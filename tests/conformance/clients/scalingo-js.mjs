#!/usr/bin/env node
// The vendor's JavaScript SDK (npm `scalingo`), the client behind the dashboard: every function that an estate's people use.
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync, mkdirSync, chmodSync } from "node:fs";
import { assert, declared, refused, reporter, sleep, within } from "../lib/check.mjs";

const require = createRequire(`${process.env.CONFORMANCE}/node/package.json`);
const axios = require("axios").default ?? require("axios");
const { clientFromToken } = require("scalingo");
const { check, notOffered } = reporter("scalingo-js");
const env = process.env;
const scratch = env.SCRATCH;

// The platform allows 60 requests a minute, here a second: a program is faster than a person, so it paces itself.
const create = axios.create.bind(axios);
axios.create = (settings) => {
  const instance = create(settings);
  instance.interceptors.request.use(async (request) => (await sleep(25), request));
  instance.interceptors.response.use(undefined, async (error) => {
    if (error.response?.status !== 429 || (error.config.tries ?? 0) > 20) throw error;
    error.config.tries = (error.config.tries ?? 0) + 1;
    await sleep(500);
    return instance.request(error.config);
  });
  return instance;
};

const urls = { apiUrl: env.SCALINGO_API_URL, authApiUrl: env.SCALINGO_AUTH_URL };
const name = "conformance-js";
// A list that is empty shows nothing of what it holds: each gets a row, held against what the SDK declares of it.
const shaped = declared(`${env.CONFORMANCE}/node/node_modules/scalingo/lib/models/regional`);
// Beside paths that are written here and not by the SDK: what they show is our own reading of the vendor (see ../calls).
const own = { "User-Agent": "own-words" };
let client, app, project, key, token, domain, addon, guest;

await check("clientFromToken", async () => {
  client = await clientFromToken(env.SCALINGO_API_TOKEN, urls);
  assert.equal(client._token.split(".").length, 3);
});
await check("clientFromToken: refused", () => refused(401, () => clientFromToken("tk-us-wrong", urls)));
await check("Users.self", async () => assert.match((await client.Users.self()).id, /^us-/));
await check("Regions.all", async () => {
  const regions = await client.Regions.all();
  assert.ok(regions.some((one) => one.name === env.SCALINGO_REGION && one.default && one.api && one.ssh));
});
await check("Tokens.create (unwrapped body)", async () => {
  token = await client.Tokens.create("conformance-js");
  assert.ok(token.id && token.token.startsWith("tk-us-"));
});
await check("Tokens.all, renew, destroy", async () => {
  assert.ok((await client.Tokens.all()).some((one) => one.id === token.id));
  await client.Tokens.renew(token.id);
  await client.Tokens.destroy(token.id);
  await refused(404, () => client.Tokens.destroy(token.id));
});
await check("Keys.create (unwrapped body), all, show, destroy", async () => {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "js", "-f", `${scratch}/key`]);
  key = await client.Keys.create("js", readFileSync(`${scratch}/key.pub`, "utf8").trim());
  assert.ok((await client.Keys.all()).some((one) => one.id === key.id && one.name === "js"));
  assert.equal((await client.Keys.show(key.id)).name, "js");
  await client.Keys.destroy(key.id);
});

await check("Projects.create, all, find, update", async () => {
  project = await client.Projects.create({ name: "conformance-js" });
  assert.ok((await client.Projects.all()).some((one) => one.id === project.id));
  assert.equal((await client.Projects.find(project.id)).name, "conformance-js");
  assert.equal((await client.Projects.update(project.id, { name: "conformance-js-2" })).name, "conformance-js-2");
});
notOffered("Projects.destroy", "no such function");
await check("Apps.create: dry run", async () => {
  assert.ok((await client.Apps.create({ name: `${name}-dry`, dry_run: true })).name);
  await refused(404, () => client.Apps.find(`${name}-dry`));
});
await check("Apps.create", async () => {
  app = await client.Apps.create({ name, project_id: project.id });
  assert.equal(app.status, "new");
  assert.equal(app.project.id, project.id);
});
await check("Apps.create: taken, bad name", async () => {
  assert.deepEqual((await refused(422, () => client.Apps.create({ name }))).data.errors.name, ["has already been taken"]);
  assert.ok((await refused(422, () => client.Apps.create({ name: "Bad_Name" }))).data.errors.name.length);
});
await check("Apps.all, find", async () => {
  assert.ok((await client.Apps.all()).some((one) => one.id === app.id));
  assert.equal((await client.Apps.find(app.id)).name, name);
  assert.equal((await refused(404, () => client.Apps.find("no-such-app"))).data.resource, "app");
});
await check("Apps.update", async () => {
  assert.equal((await client.Apps.update(app.id, { sticky_session: true })).sticky_session, true);
  assert.equal((await client.Apps.update(app.id, { router_logs: true })).router_logs, true);
});
await check("Apps.rename", async () => {
  assert.equal((await client.Apps.rename(app.id, name, `${name}-renamed`)).name, `${name}-renamed`);
  assert.equal((await client.Apps.rename(app.id, `${name}-renamed`, name)).name, name);
});
await check("Stacks.list", async () => assert.ok((await client.Stacks.list()).some((one) => one.default || one.name)));
await check("Containers.availableSizes", async () =>
  assert.ok((await client.Containers.availableSizes()).some((one) => one.name === "M")));
await check("Containers.scale: before the first deployment", async () => {
  const scaled = await client.Containers.scale(app.id, [{ name: "web", amount: 1, size: "M" }]);
  assert.equal(scaled.operation, undefined);
  assert.equal((await client.Containers.for(app.id)).find((one) => one.name === "web").amount, 1);
});

await check("Environment.create, for, update", async () => {
  const one = await client.Environment.create(app.id, { name: "ONE", value: "1" });
  await client.Environment.update(app.id, one.id, "uno");
  assert.equal((await client.Environment.for(app.id)).find((it) => it.name === "ONE").value, "uno");
});
await check("Environment.bulkUpdate, destroy, bulkDestroy", async () => {
  const all = await client.Environment.bulkUpdate(app.id, [{ name: "TWO", value: "2" }, { name: "TRE", value: "3" }]);
  assert.equal(all.find((it) => it.name === "TRE").value, "3");
  await client.Environment.destroy(app.id, all.find((it) => it.name === "TWO").id);
  await client.Environment.bulkDestroy(app.id, [all.find((it) => it.name === "TRE").id]);
  assert.deepEqual((await client.Environment.for(app.id)).map((it) => it.name), ["ONE"]);
});
await check("Environment.create: blank", async () =>
  assert.ok((await refused(422, () => client.Environment.create(app.id, { name: "", value: "" }))).data.errors.name));

await check("Collaborators.invite, for, all, update", async () => {
  const invited = await client.Collaborators.invite(app.id, env.SCALINGO_COLLABORATOR_EMAIL);
  assert.equal(invited.status, "pending");
  assert.equal(invited.is_limited, true);
  assert.equal((await client.Collaborators.for(app.id)).length, 1);
  shaped((await client.Collaborators.for(app.id))[0], "Collaborator");
  assert.ok((await client.Collaborators.all({})).collaborators.length >= 1);
  const full = await client.Collaborators.update(app.id, invited.id, { is_limited: false });
  assert.equal(full.is_limited, false);
  const link = (await client.Collaborators.for(app.id))[0].invitation_link;
  app.invitation = new URL(link).searchParams.get("token");
});
await check("Collaborators.inviteAccept, again (400)", async () => {
  guest = await clientFromToken(env.SCALINGO_COLLABORATOR_API_TOKEN, urls);
  await guest.Collaborators.inviteAccept(app.invitation);
  assert.ok((await guest.Apps.all()).some((one) => one.name === name));
});
await check("Collaborators.destroy", async () => {
  const [one] = await client.Collaborators.for(app.id);
  assert.equal(one.status, "accepted");
  await client.Collaborators.destroy(app.id, one.id);
  assert.deepEqual(await client.Collaborators.for(app.id), []);
});

await check("Addons.listCategories, listProviders", async () => {
  assert.ok((await client.Addons.listCategories()).length);
  const providers = await client.Addons.listProviders(undefined, true);
  const postgresql = providers.find((one) => one.id === "postgresql");
  assert.ok(postgresql.plans.some((plan) => plan.name === "postgresql-starter-512" && plan.pricings));
  assert.deepEqual(await client.Addons.listProviders(undefined, true, true), []);
});
await check("Addons.create, getAddon, for", async () => {
  const providers = await client.Addons.listProviders();
  const plan = providers.find((one) => one.id === "postgresql").plans.find((one) => one.name === "postgresql-starter-512");
  addon = await client.Addons.create(app.id, { addon_provider_id: "postgresql", plan_id: plan.id });
  assert.equal(addon.status, "provisioning");
  await within(60, async () => (await client.Addons.getAddon(app.id, addon.id)).status === "running");
  assert.equal((await client.Addons.for(app.id)).length, 1);
});
await check("Addons.sso", async () => assert.ok((await client.Addons.sso(app.id, addon.id)).sso_url));
await check("Addons.update", async () => {
  const providers = await client.Addons.listProviders();
  const plan = providers.find((one) => one.id === "postgresql").plans.find((one) => one.name === "postgresql-starter-1024");
  const changed = await client.Addons.update(app.id, addon.id, { plan_id: plan.id });
  assert.equal((changed.addon ?? changed).plan.name, "postgresql-starter-1024");
  await within(60, async () => (await client.Addons.getAddon(app.id, addon.id)).status === "running");
});
// The newest dashboard's database calls are not in the published SDK; its transport sends them to the regional host.
const dashboard = (method, path, data) =>
  client.apiClient().request({ method, url: `${env.SCALINGO_API_URL}/api/databases/${addon.id}${path}`, data, headers: own });
await check("dashboard: database, users, features by the regional host", async () => {
  assert.equal((await dashboard("get", "")).data.database.type_name, "postgresql");
  const user = { name: "lectureseule", read_only: true, database_id: addon.id, password: "", password_confirmation: "" };
  assert.equal((await dashboard("post", "/users", { database_user: user })).status, 201);
  assert.ok((await dashboard("get", "/users")).data["database-users"].some((one) => one.name === "lectureseule"));
  assert.equal((await dashboard("delete", "/users/lectureseule")).status, 204);
});
await check("dashboard: backups, hours as an array", async () => {
  const hours = { periodic_backups_enabled: true, periodic_backups_scheduled_at: [4] };
  const set = (await dashboard("patch", "", { database: hours })).data.database;
  assert.deepEqual(set.periodic_backups_scheduled_at, [4]);
  const made = (await dashboard("post", "/backups", {})).data.database_backup;
  const shown = async () => (await dashboard("get", `/backups/${made.id}`)).data.database_backup;
  await within(60, async () => (await shown()).status === "done");
  assert.ok((await dashboard("get", `/backups/${made.id}/archive`)).data.download_url);
});

await check("Domains.create, for, show, update, destroy", async () => {
  domain = await client.Domains.create(app.id, { name: `js.${env.DNS_ZONE}` });
  assert.equal(domain.letsencrypt_status, "pending_dns");
  assert.equal((await client.Domains.for(app.id)).length, 1);
  // That member is declared, and in no answer that was recorded.
  shaped({ acme_challenge_error: null, ...(await client.Domains.for(app.id))[0] }, "Domain");
  assert.equal((await client.Domains.update(app.id, domain.id, { canonical: true })).canonical, true);
  assert.equal((await client.Domains.show(app.id, domain.id)).canonical, true);
  await client.Domains.destroy(app.id, domain.id);
  assert.equal((await refused(404, () => client.Domains.show(app.id, domain.id))).data.resource, "domain");
});

// A deployment from an archive, its own stream open beside it.
mkdirSync(`${scratch}/tree/site/bin`, { recursive: true });
writeFileSync(`${scratch}/tree/site/Procfile`, 'web: exec python3 -m http.server "$PORT"\nworker: exec sleep 600\n');
writeFileSync(`${scratch}/tree/site/cron.json`, '{"jobs": [{"command": "0 0 1 1 * echo yearly", "size": "S"}]}');
writeFileSync(`${scratch}/tree/site/bin/build`, "#!/bin/sh\necho built for javascript\n");
chmodSync(`${scratch}/tree/site/bin/build`, 0o755);
execFileSync("tar", ["-czf", `${scratch}/site.tar.gz`, "-C", `${scratch}/tree`, "site"]);
const seen = { new: [], log: [], status: [] };
let listener, deployment, newest;
await check("Apps.deploymentListener: opens", async () => {
  listener = await client.Apps.deploymentListener(app.id);
  listener.onNew((event) => seen.new.push(event));
  listener.onLog((event) => seen.log.push(event));
  listener.onStatus((event) => seen.status.push(event));
  listener.ws.onerror = (error) => (seen.error = error);
  await within(10, () => {
    if (seen.error) throw seen.error;
    return listener.ws?.readyState === 1;
  });
});
const uploaded = async () => {
  const { source } = (await client.apiClient().post("/sources", {}, { headers: own })).data;
  const sent = await fetch(source.upload_url, {
    method: "PUT",
    headers: { "Content-Type": "application/x-gzip" },
    body: readFileSync(`${scratch}/site.tar.gz`),
  });
  assert.equal(sent.status, 200);
  return source.download_url;
};
await check("Deployments.create, find", async () => {
  deployment = await client.Deployments.create(app.id, { source_url: await uploaded(), git_ref: "js1" });
  const ended = async () => (await client.Deployments.find(app.id, deployment.id)).finished_at;
  await within(90, ended);
  assert.equal((await client.Deployments.find(app.id, deployment.id)).status, "success");
});
await check("Apps.deploymentListener: log and final status of its deployment", async () => {
  const ours = (kind) => seen[kind].filter((event) => event.id === deployment.id);
  await within(10, () => ours("status").some((event) => event.status === "success"));
  assert.ok(ours("log").some((event) => event.content.includes("built for javascript")), "no line of the build");
  listener.close();
});
await check("Deployments.for, logs, purgeCache", async () => {
  const page = await client.Deployments.for(app.id, { page: 1, per_page: 10 });
  assert.ok(page.deployments[0].id === deployment.id && page.meta.pagination.total_count >= 1);
  assert.ok((await client.Deployments.logs(app.id, deployment.id)).includes("built for javascript"));
  await client.Deployments.purgeCache(app.id);
});
await check("Deployments.create: no version", async () => {
  const made = (newest = await client.Deployments.create(app.id, { source_url: await uploaded() }));
  assert.match(made.git_ref, /^[0-9]+$/);
  await within(90, async () => (await client.Deployments.find(app.id, made.id)).finished_at);
});
await check("Containers.scale, Operations.operation", async () => {
  const { operation } = await client.Containers.scale(app.id, [{ name: "worker", amount: 1, size: "S" }]);
  await within(60, async () => (await client.Operations.operation(app.id, operation.id)).status === "done");
  const running = await client.Containers.processes(app.id);
  assert.ok(running.some((one) => one.type === "worker" && one.state === "running"));
});
await check("Containers.restart", async () => {
  const operation = await client.Containers.restart(app.id);
  await within(60, async () => (await client.Operations.operation(app.id, operation.id)).status === "done");
});
await check("Containers.run, stop", async () => {
  const container = await client.Containers.run(app.id, { command: "sleep 300", detached: true });
  assert.equal(container.type, "one-off");
  const running = async () => (await client.Containers.processes(app.id)).find((one) => one.label === container.label);
  await within(20, running);
  await client.Containers.stop(app.id, container.id);
  await within(60, async () => !(await running()));
});
await check("Apps.logsURL, Logs.for", async () => {
  assert.match(await client.Apps.logsURL(app.id), /^https?:\/\/.*token=/);
  await client.Containers.run(app.id, { command: "echo for-the-logs", detached: true });
  await within(30, async () => (await client.Logs.for(app.id, { count: 50 })).includes("for-the-logs"));
});
await check("Logs.listenerFor", async () => {
  const lines = [];
  const listener = await client.Logs.listenerFor(app.id);
  let failure;
  listener._ws.onerror = (error) => (failure = error);
  listener.onLog((line) => lines.push(line));
  try {
    await within(10, () => {
      if (failure) throw failure;
      return listener._ws?.readyState === 1;
    });
    await client.Containers.run(app.id, { command: "echo streamed-line", detached: true });
    await within(30, () => lines.some((line) => line.includes("streamed-line")));
  } finally {
    listener.close();
  }
});
await check("Logs.archives", async () => assert.ok(Array.isArray((await client.Logs.archives(app.id)).archives)));
await check("CronTasks.for", async () => {
  const tasks = await client.CronTasks.for(app.id);
  shaped(tasks, "CronDefinition");
  assert.equal(tasks.deployment_id, newest.id);
  shaped(tasks.jobs[0], "CronJob");
  assert.ok(tasks.jobs[0].next_execution_date && tasks.jobs[0].command.includes("echo yearly"));
});
await check("Events.for, all, find", async () => {
  const { events, meta } = await client.Events.for(app.id, { page: 1, per_page: 20 });
  assert.ok(events.length > 3 && meta.pagination.total_count >= events.length);
  assert.ok((await client.Events.all({ page: 1 })).events.length > 0);
});
await check("Events.listEventTypes, listEventCategories", async () => {
  const category = (await client.Events.listEventCategories()).find((one) => one.name === "app_operations");
  const type = (await client.Events.listEventTypes()).find((one) => one.name === "app_restarted");
  assert.equal(type.category_id, category.id);
});
await check("Autoscalers.create, for, show, update, destroy", async () => {
  const wanted = { container_type: "web", metric: "cpu", target: 0.5, min_containers: 2, max_containers: 3 };
  const few = await refused(422, () => client.Autoscalers.create(app.id, { ...wanted, min_containers: 1 }));
  assert.ok(few.data.errors.min_containers);
  const one = await client.Autoscalers.create(app.id, wanted);
  assert.equal((await client.Autoscalers.for(app.id)).length, 1);
  shaped((await client.Autoscalers.for(app.id))[0], "Autoscaler");
  assert.equal((await client.Autoscalers.update(app.id, one.id, { max_containers: 4 })).max_containers, 4);
  assert.equal((await client.Autoscalers.show(app.id, one.id)).metric, "cpu");
  await client.Autoscalers.destroy(app.id, one.id);
  assert.deepEqual(await client.Autoscalers.for(app.id), []);
});
await check("Alerts.create, for, find, update, destroy", async () => {
  const one = await client.Alerts.create(app.id, { container_type: "web", metric: "cpu", limit: 0.8 });
  assert.equal((await client.Alerts.for(app.id)).length, 1);
  shaped((await client.Alerts.for(app.id))[0], "Alert");
  assert.equal((await client.Alerts.update(app.id, one.id, { limit: 0.9 })).limit, 0.9);
  assert.equal((await client.Alerts.find(app.id, one.id)).metric, "cpu");
  await client.Alerts.destroy(app.id, one.id);
});
await check("NotificationPlatforms.list, Notifiers.create, for, get, update, destroy", async () => {
  const platforms = await client.NotificationPlatforms.list();
  const platform = platforms.find((one) => one.name === "webhook");
  shaped(platform, "NotificationPlatform");
  const wanted = { platform_id: platform.id, name: "hook", active: true, type_data: { webhook_url: "https://hook.test" } };
  const one = await client.Notifiers.create(app.id, wanted);
  const [first, ...others] = await client.Notifiers.for(app.id);
  assert.deepEqual([first.name, first.type], [`Default '${name}' notifier`, "email"]);
  assert.deepEqual(others.map((it) => it.id), [one.id]);
  shaped(others[0], "Notifier");
  assert.deepEqual([others[0].type, others[0].type_data.webhook_url], ["webhook", "https://hook.test"]);
  assert.equal((await client.Notifiers.update(app.id, one.id, { name: "hooked" })).name, "hooked");
  assert.equal((await client.Notifiers.get(app.id, one.id)).name, "hooked");
  await client.Notifiers.destroy(app.id, one.id);
});
await check("SCMIntegrations.all, create, find, importSSHKeys, destroy", async () => {
  assert.ok((await client.SCMIntegrations.all()).some((one) => one.scm_type === "github"));
  const wanted = { scm_type: "gitlab-self-hosted", url: "https://gitlab.exemple.test", access_token: "conformance" };
  const one = await client.SCMIntegrations.create(wanted);
  assert.deepEqual(await client.SCMIntegrations.find(one.id), one);
  assert.deepEqual(await client.SCMIntegrations.find(wanted.scm_type), one);
  assert.ok((await refused(422, () => client.SCMIntegrations.create(wanted))).data.errors.url);
  assert.deepEqual(await client.SCMIntegrations.importSSHKeys(one.id), []);
  await client.SCMIntegrations.destroy(one.id);
  await refused(404, () => client.SCMIntegrations.find(one.id));
  assert.ok((await refused(422, () => client.SCMIntegrations.create({}))).data.errors.access_token);
});
await check("SCMRepoLinks.find: none is 404", () => refused(404, () => client.SCMRepoLinks.find(app.id)));
await check("SCMRepoLinks.create, find, update, destroy", async () => {
  const made = await client.SCMRepoLinks.create(app.id, { source: "https://github.com/owner/code", branch: "main" });
  shaped(made, "SCMRepoLink");
  assert.equal((await client.SCMRepoLinks.update(app.id, { branch: "next" })).branch, "next");
  const { owner, repo, branch } = await client.SCMRepoLinks.find(app.id);
  assert.deepEqual([owner, repo, branch], ["owner", "code", "next"]);
  await client.SCMRepoLinks.destroy(app.id);
  await refused(404, () => client.SCMRepoLinks.find(app.id));
});
await check("Addons.destroy", async () => {
  await client.Addons.destroy(app.id, addon.id);
  await refused(404, () => client.Addons.getAddon(app.id, addon.id));
});
await check("Databases.all", async () => assert.deepEqual(await client.Databases.all(), []));
notOffered("Databases: backups, users, operations", "the published SDK knows only dedicated databases");
await check("Apps.destroy: wrong name, right name", async () => {
  assert.ok((await refused(422, () => client.Apps.destroy(app.id, "other"))).data.errors.current_name);
  await client.Apps.destroy(app.id, name);
  await refused(404, () => client.Apps.find(app.id));
});
process.exit(0);
