import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Instant } from '../../src/resilience/instant.ts';
import { endExportTurn, exportStatus, takeExportTurn } from '../../src/state/export-turn.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { exportMetrics } from '../../src/telemetry/export.ts';
import { at, ledger, openState, scratch, settings } from './fixture.ts';
import { sibling } from './state-child.ts';

const INTERVAL = 15_000;
const LONGEST = 10_000;

const take = (tx: Transaction): boolean => takeExportTurn(tx, INTERVAL, LONGEST);
const takeNow = (tx: Transaction): boolean => takeExportTurn(tx, 0, LONGEST);

/** Another process, and the turn as it would have taken it at that moment. */
async function holder(t: TestContext): Promise<{ child: ChildProcess; takes: (tx: Transaction) => void }> {
  const child = spawn('sleep', ['600']);
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  return {
    child,
    takes: (tx) => {
      const { wall, boot, mono } = tx.now;
      const { pid = 0 } = child;
      tx.write('UPDATE export SET pid = ?, wall = ?, boot = ?, mono = ? WHERE id = 1', pid, wall, boot, mono);
    },
  };
}

/** The wall clock moved, and nothing else. */
function moved(now: Instant, milliseconds: number): Instant {
  return { ...now, wall: now.wall + milliseconds };
}

describe('the turn to export', () => {
  test('is had by the first at once, and again once the interval has passed since it began', async (t) => {
    const run = await ledger(t);
    assert.equal(run(at(0), take), true);
    run(at(4_000), (tx) => endExportTurn(tx, null));
    assert.equal(run(at(INTERVAL - 1), take), false);
    assert.equal(run(at(INTERVAL), take), true);
    run(at(INTERVAL + 10), (tx) => endExportTurn(tx, null));
    assert.equal(run(at(INTERVAL + 20), take), false, 'from then on anew');
  });

  test('comes at once where no interval is asked for, but never to two at the same time', async (t) => {
    const run = await ledger(t);
    assert.equal(run(at(0), takeNow), true);
    assert.equal(run(at(1), takeNow), false);
    run(at(2), (tx) => endExportTurn(tx, 'refused'));
    assert.equal(run(at(2), takeNow), true);
  });

  test('is not had while another process has it, however long ago the interval passed', async (t) => {
    const run = await ledger(t);
    const { takes } = await holder(t);
    run(at(0), takes);
    assert.equal(run(at(LONGEST - 1), takeNow), false);
  });

  test('of a process that died is had as soon as the interval has passed', async (t) => {
    const run = await ledger(t);
    const { child, takes } = await holder(t);
    run(at(0), takes);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(run(at(1), take), false, 'the interval holds for it all the same');
    assert.equal(run(at(1), takeNow), true);
  });

  test('of a process that was stopped is had once no export can take that long', async (t) => {
    const run = await ledger(t);
    const { child, takes } = await holder(t);
    run(at(0), takes);
    child.kill('SIGSTOP');
    assert.equal(run(at(LONGEST - 1), takeNow), false);
    assert.equal(run(at(LONGEST), takeNow), true);
    // It wakes up and ends what is not its own any more.
    run(at(LONGEST + 1), (tx) => {
      const before = tx.row<{ pid: number }>('SELECT pid FROM export');
      tx.write('UPDATE export SET pid = ? WHERE id = 1', child.pid ?? 0);
      endExportTurn(tx, null);
      assert.equal(tx.row<{ pid: number }>('SELECT pid FROM export')?.pid, child.pid, 'only its own turn');
      tx.write('UPDATE export SET pid = ? WHERE id = 1', before?.pid ?? 0);
    });
    assert.equal(run(at(LONGEST + 2), takeNow), false);
  });

  test('of an earlier boot is nobody’s, whoever has that process id now', async (t) => {
    const run = await ledger(t);
    const { takes } = await holder(t);
    run(at(0), takes);
    assert.equal(run({ ...at(100, 'boot-2'), mono: 50 }, takeNow), true);
  });

  test('does not wait for an old time when the clock was set back', async (t) => {
    const run = await ledger(t);
    run(at(0), take);
    run(at(10), (tx) => endExportTurn(tx, null));
    assert.equal(
      run(moved(at(1_000), -86_400_000), take),
      false,
      'but the kernel’s clock knows the interval',
    );
    assert.equal(run(moved(at(INTERVAL), -86_400_000), take), true);
    const rebooted = { ...moved(at(0), -86_400_000), boot: 'boot-2', mono: 100 };
    run(at(INTERVAL), (tx) => endExportTurn(tx, null));
    assert.equal(run(rebooted, take), true, 'a time in the future cannot be trusted');
  });

  test('is not taken from one who has it when the clock was set forward', async (t) => {
    const run = await ledger(t);
    const { takes } = await holder(t);
    run(at(0), takes);
    assert.equal(run(moved(at(1_000), 86_400_000), take), false);
  });

  test('is not had where it cannot be written down', async (t) => {
    const run = await ledger(t);
    assert.equal(run(at(0), takeNow, false), false);
    assert.equal(run(at(0), takeNow), true);
  });

  test('leaves on record how exporting goes', async (t) => {
    const run = await ledger(t);
    const nothing = { lastSuccess: null, lastError: null, lastErrorAt: null };
    assert.deepEqual(run(at(0), exportStatus), nothing);
    run(at(0), takeNow);
    run(at(5), (tx) => endExportTurn(tx, 'nobody listens'));
    const failed = { lastSuccess: null, lastError: 'nobody listens', lastErrorAt: at(5).wall };
    assert.deepEqual(run(at(9), exportStatus), failed);
    run(at(10), takeNow);
    run(at(15), (tx) => endExportTurn(tx, null));
    assert.deepEqual(run(at(20), exportStatus), { ...failed, lastSuccess: at(15).wall });
    run(at(30), takeNow);
    run(at(35), (tx) => endExportTurn(tx, 'gone'));
    const gone = { lastSuccess: at(15).wall, lastError: 'gone', lastErrorAt: at(35).wall };
    assert.deepEqual(run(at(40), exportStatus), gone);
  });
});

describe('an export', () => {
  test('fails, saying why, where the state is locked, and asks no collector', async (t) => {
    const path = join(scratch(t), 'state.db');
    const state = await openState(path, { patience: 50 });
    const other = sibling(t, 'immediate', path);
    assert.equal(await other.said(), 'held');
    const result = await exportMetrics(
      settings({ telemetry: { endpoint: 'http://127.0.0.1:1/v1/metrics' } }),
      state,
      0,
    );
    assert.deepEqual(result, {
      kind: 'failed',
      why: 'the state cannot be written: it was locked by another process for too long',
      before: { lastSuccess: null, lastError: null, lastErrorAt: null },
    });
    await other.release();
  });
});
