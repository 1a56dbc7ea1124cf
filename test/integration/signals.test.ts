import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { CONNECT, DISCONNECT, hearsSigterm } from './agent.ts';
import { withPortal } from './fixture.ts';

describe('SIGTERM', () => {
  const fixture = withPortal({ users: { alice: { allowed: true } } });

  test('ends a connect that waits for the portal at once, with 5, and no session is recorded', async () => {
    await using agent = await fixture.install();
    const release = fixture.portal.hold('CheckPolicy');
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' });
    await fixture.portal.arrived(1, 'CheckPolicy');
    const sent = performance.now();
    child.kill('SIGTERM');
    const run = await ended;
    release();
    assert.equal(run.code, 5, run.stderr);
    assert.ok(performance.now() - sent < 4_000, 'ocserv waits for it, and with it everybody');
    assert.deepEqual(agent.query('SELECT * FROM session'), []);
  });

  test('during a connect, at any moment from its first on, refuses it or comes too late, and never kills by signal', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const codes = new Map<number | null, number>();
    for (let delay = 0; delay <= 44; delay += 2) {
      const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice', ID: `${9_000 + delay}` });
      await hearsSigterm(child);
      // Not synchronisation: the moment itself is what is tried.
      setTimeout(() => child.kill('SIGTERM'), delay);
      const run = await ended;
      assert.equal(run.signal, null, `after ${delay} ms`);
      assert.ok(run.code === 5 || run.code === 0, `status ${run.code} after ${delay} ms: ${run.stderr}`);
      codes.set(run.code, (codes.get(run.code) ?? 0) + 1);
      const recorded = agent.query(`SELECT 1 FROM session WHERE ocserv_id = '${9_000 + delay}'`).length;
      assert.equal(recorded, run.code === 0 ? 1 : 0, `status ${run.code} after ${delay} ms`);
    }
    assert.ok((codes.get(5) ?? 0) > 0, 'some came in time');
  });

  test('does not keep a disconnect from being recorded, even while the state is locked', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const lock = new Database(agent.state);
    lock.exec('BEGIN IMMEDIATE');
    const { child, ended } = agent.start({
      ...DISCONNECT,
      USERNAME: 'alice',
      STATS_BYTES_IN: '12',
      STATS_DURATION: '1',
    });
    await hearsSigterm(child);
    for (let i = 0; i < 10; i++) {
      // The first one once the shell is there, the others while Node boots and while it waits for the lock.
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill('SIGTERM');
    }
    lock.exec('ROLLBACK');
    lock.close();
    const run = await ended;
    assert.equal(run.code, 0, run.stderr);
    const [session] = agent.query<{ bytes_in: string; ended_wall: number }>('SELECT * FROM session');
    assert.equal(session?.bytes_in, '12');
    assert.ok(session.ended_wall > 0);
  });
});
