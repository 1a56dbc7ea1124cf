import Database from 'better-sqlite3';
import type { Agent } from './agent.ts';

/** The breaker as though it had opened so many milliseconds earlier. */
export function openedEarlier(agent: Agent, by: number): void {
  const db = new Database(agent.state);
  const { state } = db.prepare('SELECT state FROM breaker').get() as { state: string };
  const parsed = JSON.parse(state) as { openedAt: { wall: number; mono: number } };
  parsed.openedAt.wall -= by;
  parsed.openedAt.mono -= by;
  db.prepare('UPDATE breaker SET state = ?').run(JSON.stringify(parsed));
  db.close();
}
