import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, CONNECT, DISCONNECT, expectsDrain, LAUNCHER, type Run } from './agent.ts';
import { BUSY, ownMachine } from './busy-machine.ts';
import { EVENTS, gone, pending } from './events.ts';
import { withPortal } from './fixture.ts';
import { attended } from './handed-over.ts';
import { PATIENT, until } from './leader.ts';
import { MOUNTS } from './mounts.ts';
import { over } from './stand-in.ts';

const WIDTH = 60;
const users = Array.from({ length: WIDTH }, (_, i) => `user${i}`);
const mayEnter = (i: number): boolean => i % 3 !== 0;

/**
 * Kills whoever drains again and again, at random moments, until it is over.
 * @param atMost milliseconds between two times.
 * @param started where others have written down who they are, as soon as they were started.
 */
function killDrains(
  agent: Agent,
  signal: NodeJS.Signals,
  atMost = 400,
  started?: string,
): { end(): Promise<number> } {
  let isOver = false;
  const killed = new Set<number>();
  const kill = (drain: number): void => {
    try {
      if (!killed.has(drain)) process.kill(drain, signal);
      killed.add(drain);
    } catch {
      // It has just ended by itself.
    }
  };
  const killing = (async () => {
    while (!isOver) {
      await sleep(Math.random() * atMost);
      const { drain } = agent;
      if (drain !== null) kill(drain);
      else if (started !== undefined) kill(Number(readFileSync(started, 'latin1').split('\n').at(-2)));
    }
  })();
  return {
    async end() {
      isOver = true;
      await killing;
      return killed.size;
    },
  };
}

/** Of 60 connects while so many drains were killed. */
function judge(t: TestContext, agent: Agent, runs: readonly Run[], killed: number): void {
  let refused = 0;
  for (const [i, { code, decision, stderr }] of runs.entries()) {
    if (decision !== undefined) {
      assert.equal(decision['username'], `user${i}`, stderr);
      assert.equal(decision['allowed'], mayEnter(i), stderr);
    }
    const sessions = agent.query(`SELECT * FROM session WHERE username = 'user${i}'`).length;
    if (code === 0) {
      assert.ok(mayEnter(i), stderr);
      assert.equal(sessions, 1, `user${i} is let in, and recorded once`);
    } else if (mayEnter(i)) {
      // Killed between its claim and its answer, as a process of its own can be.
      assert.equal(code, 137, stderr);
      assert.ok(sessions <= 1);
      refused += 1;
    } else assert.equal(sessions, 0);
  }
  t.diagnostic(`${killed} drains were killed, ${refused} connects with them`);
  assert.ok(killed > 0);
  assert.ok(refused <= killed, 'no more than one with each');
}

describe('while the drains that take calls are killed again and again', () => {
  const fixture = withPortal({
    default: { allowed: false, reason: 'unknown' },
    users: {
      alice: { allowed: true },
      ...Object.fromEntries(
        users.map((user, i) => [
          user,
          mayEnter(i) ? { allowed: true } : { allowed: false, reason: `no ${i}` },
        ]),
      ),
    },
  });
  const [config, portal] = PATIENT;

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`each connect has its own decision, recorded once (${signal})`, async (t) => {
      await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
      await attended(agent);
      const killing = killDrains(agent, signal);
      const runs = await Promise.all(
        users.map((USERNAME, i) => agent.hook({ ...CONNECT, USERNAME, ID: `${5_000 + i}` })),
      );
      judge(t, agent, runs, await killing.end());
    });
  }

  test('each connect has its own decision where a drain is started before it, too', MOUNTS, async (t) => {
    await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    expectsDrain(agent);
    using machine = await ownMachine(agent);
    const started = join(agent.folder, 'started');
    writeFileSync(started, '');
    const node = `exec ${process.execPath} "$@"`;
    const first = { ...CONNECT, USERNAME: 'alice', ID: '4000', IP_REAL: '198.51.100.99' };
    assert.equal((await agent.hook(first, [...machine.on(1), LAUNCHER])).code, 0);
    await until(() => agent.drain === null, 'its own drain has gone');
    const command = [...machine.on(BUSY), over(agent, node, `echo $$ >>${started}; ${node}`)];
    const killing = killDrains(agent, 'SIGKILL', 300, started);
    const runs = await Promise.all(
      users.map(async (USERNAME, i) => {
        await sleep(Math.random() * 4_000);
        // Another may be started at once.
        writeFileSync(join(agent.runDir, 'coming'), '');
        return agent.hook({ ...CONNECT, USERNAME, ID: `${5_000 + i}` }, command);
      }),
    );
    judge(t, agent, runs, await killing.end());
  });

  test('each disconnect is recorded once, and delivered', async (t) => {
    await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    await attended(agent);
    const mine = users.map((USERNAME, i) => ({ USERNAME, ID: `${6_000 + i}` })).filter((_, i) => mayEnter(i));
    for (const run of await Promise.all(mine.map((who) => agent.hook({ ...CONNECT, ...who }))))
      assert.equal(run.code, 0, run.stderr);
    const killing = killDrains(agent, 'SIGKILL', 100);
    const ends = await Promise.all(
      mine.map((who, i) =>
        agent.hook({ ...DISCONNECT, ...who, STATS_BYTES_IN: `${1_000 + i}`, STATS_DURATION: '1' }),
      ),
    );
    t.diagnostic(`${await killing.end()} drains were killed`);
    for (const end of ends) assert.equal(end.code, 0, end.stderr);
    const rows = agent.query<{ ocserv_id: string; bytes_in: string }>(
      `SELECT ocserv_id, bytes_in FROM session WHERE ocserv_id LIKE '6___' AND ended_wall IS NOT NULL ORDER BY ocserv_id`,
    );
    assert.deepEqual(
      rows,
      mine.map(({ ID }, i) => ({ ocserv_id: ID, bytes_in: `${1_000 + i}` })),
    );
    // Whoever was killed had a lease.
    await agent.command('events', 'flush');
    await gone(agent);
    assert.equal(pending(agent), 0);
    const told = new Set(
      fixture.portal.callsOf('ReportDisconnect').map(({ request }) => String(request['sessionId'])),
    );
    assert.equal(told.size, mine.length);
  });
});
