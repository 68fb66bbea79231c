import { pool } from "./connections.js";

if (process.env.BREAK_THE_HOOK) throw new Error("the hook is told to fail");
await pool.query("CREATE TABLE IF NOT EXISTS visits (id bigserial PRIMARY KEY, who text NOT NULL, at timestamptz NOT NULL DEFAULT now())");
await pool.end();
