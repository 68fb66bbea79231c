// The database and the queue, from the variables that the addons set.
import pg from "pg";
import Redis from "ioredis";

export const pool = new pg.Pool({ connectionString: withoutMode(process.env.DATABASE_URL), max: 4 });
export const redis = () => new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });

// `sslmode=prefer` is libpq's: this driver knows only yes and no.
function withoutMode(text) {
  const url = new URL(text);
  url.searchParams.delete("sslmode");
  return url.toString();
}
