// A web front: visits in PostgreSQL, jobs handed to the worker through Redis.
import express from "express";
import { pool, redis } from "./connections.js";

const queue = redis();
const app = express();
app.set("trust proxy", true);
app.use(express.json());

app.get("/", (request, response) => {
  response.json({ version: process.env.APP_VERSION ?? "1", container: process.env.CONTAINER, secure: request.secure, pid: process.pid });
});
app.post("/visits", async (request, response) => {
  const { rows } = await pool.query("INSERT INTO visits (who) VALUES ($1) RETURNING id", [request.body.who]);
  await queue.rpush("jobs", JSON.stringify({ id: rows[0].id, who: request.body.who }));
  response.status(201).json(rows[0]);
});
app.get("/visits", async (_request, response) => {
  const { rows } = await pool.query("SELECT who FROM visits ORDER BY id");
  response.json({ visits: rows.map((row) => row.who) });
});
app.get("/greetings/:id", async (request, response) => {
  response.json({ greeting: await queue.get(`greeting:${request.params.id}`) });
});

const server = app.listen(Number(process.env.PORT), "0.0.0.0", () => console.log("listening"));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
