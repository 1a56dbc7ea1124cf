import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { isAlive } from '../../src/state/process.ts';
import { CONNECT } from './agent.ts';
import { withPortal } from './fixture.ts';
import { leader, PATIENT, questions, until } from './leader.ts';

const WAVES = 5;
const WIDTH = 8;
const users = Array.from({ length: WAVES * WIDTH }, (_, i) => `user${i}`);
const mayEnter = (i: number): boolean => i % 3 !== 0;

/** A wait of random length: what is killed is in any state by then. */
const moment = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 60));

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

/** @returns whether there was one to kill. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

describe('while whoever leads is killed again and again', () => {
  const fixture = withPortal({
    delay: '40ms',
    default: { allowed: false, reason: 'unknown' },
    users: Object.fromEntries(
      users.map((user, i) => [user, mayEnter(i) ? { allowed: true } : { allowed: false, reason: `no ${i}` }]),
    ),
  });

  for (const mode of ['close', 'open'] as const) {
    test(`each that lives has its own decision, and nobody is let in by a death (fail mode ${mode})`, async (t) => {
      await using agent = await fixture.install(
        `${PATIENT[0]}\n[resilience]\nfail_mode = "${mode}"`,
        PATIENT[1],
      );
      // What is killed is whoever is in the row, by its launcher: that is whose answer it was.
      const killed = new Map<number, number>();
      let over = false;
      const leaderNow = (): number => {
        try {
          return leader(agent);
        } catch {
          // There is no state yet.
          return 0;
        }
      };
      const killing = (async () => {
        for (let asked = 0; ; ) {
          // Some get their answers in between, or nobody would live.
          asked += 2 + Math.floor(Math.random() * 5);
          await until(
            () => over || fixture.portal.callsOf('CheckPolicy').length >= asked,
            'some more are asked for',
          );
          await moment();
          if (over) return;
          const pid = leaderNow();
          const launcher = parentOf(pid);
          // It may have ended by itself at any moment.
          if (pid !== 0 && kill(pid)) killed.set(pid, launcher);
        }
      })();
      const runs = users.map(async (user, i) => {
        for (let wave = 0; wave < Math.floor(i / WIDTH); wave++) await moment();
        const { child, ended } = agent.start({
          ...CONNECT,
          USERNAME: user,
          ID: `${1_000 + i}`,
          IP_REAL: `198.51.100.${i}`,
        });
        return { pid: child.pid, run: await ended };
      });
      const ended = await Promise.all(runs);
      over = true;
      await killing;
      const launchers = new Set(killed.values());
      let lived = 0;
      for (const [i, { pid, run }] of ended.entries()) {
        assert.equal(run.signal, null);
        if (run.code === 0) assert.ok(mayEnter(i), `${users[i]}: ${run.stderr}`);
        if (run.code === 137) {
          assert.ok(launchers.has(pid ?? 0), `${users[i]} was not killed`);
          continue;
        }
        lived += 1;
        assert.equal(run.code, mayEnter(i) ? 0 : 1, `${users[i]}: ${run.stderr}`);
        assert.equal(run.decision?.['source'], 'portal', run.stderr);
        assert.equal(run.decision?.['username'], users[i]);
        if (!mayEnter(i)) assert.equal(run.decision?.['reason'], `no ${i}`);
      }
      t.diagnostic(`${killed.size} leaders were killed; ${lived} of ${users.length} have their decision`);
      assert.ok(killed.size > 0);
      assert.ok(lived > 0);
      // Whoever was let in is on record, and of those that were denied nobody is.
      const recorded = new Set(
        agent.query<{ username: string }>('SELECT username FROM session').map(({ username }) => username),
      );
      for (const [i, { run }] of ended.entries()) {
        if (run.code === 0) assert.ok(recorded.has(users[i] ?? ''), users[i]);
        if (!mayEnter(i)) assert.equal(recorded.has(users[i] ?? ''), false);
      }
      // And who comes afterwards finds nothing in his way.
      assert.equal((await agent.connect('mallory', { ID: '1' })).decision?.['reason'], 'unknown');
      await until(() => leader(agent) === 0 || !isAlive(leader(agent)), 'nobody leads any more');
      assert.deepEqual(
        questions(agent).filter(({ pid }) => isAlive(pid)),
        [],
      );
    });
  }
});
