import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { isBreakerOpen, sendForDrain } from '../../src/events/send-for-drain.ts';
import { OWN_CALL } from '../../src/hook/own-call.ts';
import { type BreakerState, INITIAL, trip } from '../../src/resilience/circuit-breaker.ts';
import { loadBreaker, saveBreaker } from '../../src/state/breaker.ts';
import {
  callDrain,
  drainStatus,
  forgetDrainWait,
  giveLeaseBack,
  isDrainOnItsWay,
  mustWait,
  takeLease,
} from '../../src/state/drain.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger, settings } from './fixture.ts';

const CONFIG = settings();
const LONGEST = CONFIG.events.retry_max;
const TIMEOUT = CONFIG.resilience.circuit_breaker.timeout;

function foundAway(tx: Transaction, wait: number): void {
  takeLease(tx);
  giveLeaseBack(tx, { portal: 'away', error: 'UNAVAILABLE: no', wait });
}

describe('a drain that found the portal away', () => {
  test('keeps hooks from sending for the next until its wait is over', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => foundAway(tx, 1_000));
    assert.equal(on(at(0), isDrainOnItsWay), false, 'its lease is free');
    assert.equal(
      on(at(999), (tx) => mustWait(tx, LONGEST)),
      true,
    );
    assert.equal(
      on(at(1_000), (tx) => mustWait(tx, LONGEST)),
      false,
    );
  });

  test('is told with how many did before it in a row, and why', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => foundAway(tx, 1));
    on(at(5), (tx) => foundAway(tx, 1_000));
    assert.deepEqual(on(at(5), drainStatus), {
      running: false,
      pid: null,
      failures: 2,
      retryAt: at(1_005).wall,
      lastError: 'UNAVAILABLE: no',
    });
  });

  test('is forgotten once one has found it well, and not by one that did not meet it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      foundAway(tx, 1_000);
      takeLease(tx);
      giveLeaseBack(tx, { portal: 'not met' });
      assert.partialDeepStrictEqual(drainStatus(tx), { failures: 1, retryAt: at(1_000).wall });
      takeLease(tx);
      giveLeaseBack(tx, { portal: 'well' });
      assert.deepEqual(drainStatus(tx), {
        running: false,
        pid: null,
        failures: 0,
        retryAt: 0,
        lastError: null,
      });
    });
  });

  test('does not make hooks wait longer than any wait is, though the clock was set back since', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => foundAway(tx, LONGEST));
    assert.equal(
      on(at(0), (tx) => mustWait(tx, LONGEST)),
      true,
    );
    assert.equal(
      on(at(-1), (tx) => mustWait(tx, LONGEST)),
      false,
    );
  });

  test('is not waited for when a person asks for a drain, and its failures stay known', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      foundAway(tx, 1_000);
      forgetDrainWait(tx);
      assert.equal(mustWait(tx, LONGEST), false);
      assert.equal(drainStatus(tx).failures, 1);
    });
  });
});

describe('a hook that has left something for a drain', () => {
  beforeEach(() => {
    process.env['OCAGENT_LAUNCHER'] = String(process.ppid);
  });
  afterEach(() => {
    delete process.env['OCAGENT_LAUNCHER'];
  });

  const send =
    (urgent = false, { canStart = true, work = true } = {}) =>
    (tx: Transaction) =>
      sendForDrain(tx, CONFIG, canStart, { work, urgent });

  test('sends for one, and of its siblings no other does', async (t) => {
    const on = await ledger(t);
    assert.equal(on(at(0), send()), true);
    assert.equal(on(at(0), isDrainOnItsWay), true);
    for (let sibling = 1; sibling < 200; sibling++) assert.equal(on(at(sibling), send(true)), false);
  });

  test('sends for none while one runs, and for another when that has gone', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    assert.equal(on(at(1), send(true)), false);
    on(at(1), (tx) => giveLeaseBack(tx, { portal: 'well' }));
    assert.equal(on(at(1), send()), true);
  });

  test('sends for none where nobody could start one, or there is nothing for it', async (t) => {
    const on = await ledger(t);
    assert.equal(on(at(0), send(true, { canStart: false })), false);
    assert.equal(on(at(0), send(false, { work: false })), false);
    assert.equal(on(at(0), isDrainOnItsWay), false);
  });

  test('sends for none where no launcher waits that could start one', () => {
    for (const value of [undefined, '', '0', 'true', '1', String(process.pid)]) {
      if (value === undefined) delete process.env['OCAGENT_LAUNCHER'];
      else process.env['OCAGENT_LAUNCHER'] = value;
      assert.equal(OWN_CALL.canStartDrain, false, String(value));
    }
  });

  test('sends for none where the state can only be read: nothing was left there', async (t) => {
    const on = await ledger(t);
    assert.equal(on(at(0), send(true), false), false);
  });

  test('sends for none while the last one has just found the portal away', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => foundAway(tx, 1_000));
    assert.equal(on(at(999), send()), false);
    assert.equal(on(at(1_000), send()), true);
  });

  test('sends for none while the breaker is open, but half-open for one, and never changes it', async (t) => {
    const on = await ledger(t);
    const open = on(at(0), (tx) => {
      saveBreaker(tx, INITIAL, trip(INITIAL, tx.now));
      return loadBreaker(tx);
    });
    const now = (milliseconds: number): [boolean, boolean, BreakerState] =>
      on(at(milliseconds), (tx) => [
        isBreakerOpen(tx, CONFIG),
        sendForDrain(tx, CONFIG, true, { work: true, urgent: false }),
        loadBreaker(tx),
      ]);
    assert.deepEqual(now(TIMEOUT - 1), [true, false, open]);
    assert.deepEqual(now(TIMEOUT), [false, true, open]);
  });

  test('sends for one all the same when there is something urgent, which needs no portal', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      foundAway(tx, 1_000);
      saveBreaker(tx, INITIAL, trip(INITIAL, tx.now));
      assert.equal(sendForDrain(tx, CONFIG, true, { work: true, urgent: false }), false);
      assert.equal(sendForDrain(tx, CONFIG, true, { work: true, urgent: true }), true);
    });
  });

  test('sends for another when the one that was called did not come in time', async (t) => {
    const on = await ledger(t);
    on(at(0), callDrain);
    assert.equal(on(at(14_999), send()), false);
    assert.equal(on(at(15_000), send()), true);
  });
});
