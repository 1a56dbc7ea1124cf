/**
 * How long the cache's own transactions take in one process: a fresh decision found and marked as used, and a new one kept in a cache that
 * is full, so that another must go. It prints the medians in microseconds:
 *
 *   OCAGENT_CONFIG=FILE node scripts/bench/cache-steps.ts SIZE
 */
import { configFile, loadConfig } from '../../src/config/load.ts';
import { findDecision, keepDecision, touchDecision } from '../../src/state/decisions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import { CONNECT_CHECKPOINT_PAGES } from '../../src/state/state.ts';
import { openState } from './open-state.ts';
import { addressOf, GROUP, userOf } from './population.ts';
import { median } from './statistics.ts';

export interface CacheSteps {
  readonly hit: number;
  readonly insert: number;
}

const STEPS = 300;
/** A prime, so that every size is walked without an order. */
const STRIDE = 7_654_321;

const size = Number(process.argv[2]);
const state = await openState({
  path: (await loadConfig(configFile())).state.path,
  create: false,
  patience: 10_000,
  checkpointPages: CONNECT_CHECKPOINT_PAGES,
});

const hit = await microseconds((n) =>
  state.step((tx) => {
    const key = keyOf((n * STRIDE) % size);
    if (findDecision(tx, key) === undefined) throw new Error(`${key.username} is not in the cache`);
    touchDecision(tx, key);
  }),
);
const insert = await microseconds((n) =>
  state.step((tx) => {
    // Anywhere among the names that are there.
    const key = keyOf(1_000_000 + ((n * STRIDE) % 9_000_000));
    const fresh = { allowed: true, reason: '', routes: [], dnsServers: [], cacheTtl: null };
    if (!keepDecision(tx, key, { ...fresh, asked: nextInSequence(tx) }, size))
      throw new Error(`${key.username} was not kept`);
  }),
);
console.log(JSON.stringify({ hit, insert } satisfies CacheSteps));

function keyOf(number: number) {
  return { username: userOf(number), vhost: 'default', groupname: GROUP, clientIp: addressOf(number) };
}

async function microseconds(step: (n: number) => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < STEPS; n++) {
    const began = performance.now();
    await step(n);
    times.push(1_000 * (performance.now() - began));
  }
  return median(times);
}
