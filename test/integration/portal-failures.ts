import assert from 'node:assert/strict';
import type { Agent, Run } from './agent.ts';

/** What the hook's log says of a portal that it could not ask; the test fails where it could. */
export function failureOf(run: Run): Record<string, unknown> {
  const line = run.log.find(({ msg }) => msg === 'the portal could not be asked');
  assert.ok(line, run.stderr);
  assert.equal(run.code, 1);
  return line;
}

/** How many failures in a row the breaker holds against the portal. */
export async function failuresHeld(agent: Agent): Promise<number> {
  const { stdout } = await agent.command('breaker', 'status', '--json');
  return (JSON.parse(stdout) as { failures: number }).failures;
}
