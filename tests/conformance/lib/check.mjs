// What every Node client script shares: one line per operation, whatever happens in it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export { assert, sleep };

export function reporter(client) {
  const line = (operation, outcome, detail = "") => {
    const text = String(detail).replace(/\s+/g, " ").slice(0, 300);
    process.stdout.write([client, operation, outcome, text].join("\t") + "\n");
  };
  const told = (error) => {
    const body = error?.data ?? error?.response?.data;
    return `${error?.message ?? error} ${error?.status ?? error?._status ?? ""} ${body ? JSON.stringify(body) : ""}`;
  };
  // An exception is a failure of this operation and of no other.
  const check = async (operation, act, limit = 120_000) => {
    const alarm = new AbortController();
    try {
      const late = sleep(limit, undefined, { signal: alarm.signal }).then(() => assert.fail("no answer in time"));
      late.catch(() => {});
      await Promise.race([act(), late]);
      line(operation, "passed");
    } catch (error) {
      line(operation, "failed", told(error));
    } finally {
      alarm.abort();
    }
  };
  return { check, notOffered: (operation, why) => line(operation, "not-offered", why) };
}

// What an SDK's own declarations in `folder` say that its users may read: interface to the members that are always there.
export function declared(folder) {
  const members = new Map();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".d.ts"))) {
    const text = readFileSync(`${folder}/${file}`, "utf8");
    for (const [, name, body] of text.matchAll(/export interface (\w+)[^{]*\{\n([\s\S]*?)\n\}/g)) {
      const found = [...body.matchAll(/^ {4}(\w+)(\??):/gm)].filter(([, , optional]) => !optional);
      members.set(name, found.map(([, member]) => member));
    }
  }
  return (one, name) => {
    assert.ok(members.get(name)?.length, `the SDK declares no ${name}`);
    assert.ok(one && typeof one === "object", `there is no ${name} to look at`);
    assert.deepEqual(members.get(name).filter((member) => !(member in one)), [], `members that every ${name} has`);
  };
}

// Until `condition()` gives something true.
export async function within(seconds, condition) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await condition();
    if (seen) return seen;
    assert.ok(Date.now() < end, `not within ${seconds} s`);
    await sleep(200);
  }
}

// The refusal of `act`, with this status.
export async function refused(status, act) {
  const error = await act().then(
    () => assert.fail(`accepted, although ${status} was due`),
    (error) => error,
  );
  assert.equal(error.status ?? error._status ?? error.response?.status, status, error.message);
  return error;
}
