// Takes jobs from Redis and leaves a greeting for each.
import { redis } from "./connections.js";

const queue = redis();
console.log("worker waits");
process.on("SIGTERM", () => process.exit(0));
for (;;) {
  const [, text] = await queue.blpop("jobs", 0);
  const job = JSON.parse(text);
  await queue.set(`greeting:${job.id}`, `bonjour ${job.who}`);
  console.log(`greeted ${job.id}`);
}
