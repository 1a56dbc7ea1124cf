import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import type { Instant } from '../../src/resilience/instant.ts';
import {
  callDrain,
  drainStatus,
  giveLeaseBack,
  holdsLease,
  isDrainOnItsWay,
  LEASE_MS,
  takeLease,
} from '../../src/state/drain.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';

const WELL = { portal: 'well' } as const;

/** As though that process had taken it. */
function holder(tx: Transaction, pid: number): void {
  tx.write('UPDATE drain SET pid = ? WHERE id = 1', pid);
}

/** The id of a process that has ended. */
function dead(): number {
  return spawnSync('true').pid;
}

describe('the lease of the drain', () => {
  test('is free at first: there is no drain, and one may take it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      assert.equal(isDrainOnItsWay(tx), false);
      assert.deepEqual(drainStatus(tx), {
        running: false,
        pid: null,
        failures: 0,
        retryAt: 0,
        lastError: null,
      });
      assert.equal(takeLease(tx), 1);
      assert.partialDeepStrictEqual(drainStatus(tx), { running: true, pid: process.pid });
    });
  });

  test('that was reserved for one on its way keeps hooks from starting another, and whoever comes takes it', async (t) => {
    const on = await ledger(t);
    on(at(0), callDrain);
    assert.equal(on(at(1), isDrainOnItsWay), true);
    assert.equal(on(at(1), drainStatus).running, false, 'it is not there yet');
    assert.equal(on(at(1), takeLease), 1);
  });

  test('that was reserved for one that never came ends', async (t) => {
    const on = await ledger(t);
    on(at(0), callDrain);
    assert.equal(on(at(LEASE_MS - 1), isDrainOnItsWay), true);
    assert.equal(on(at(LEASE_MS), isDrainOnItsWay), false);
  });

  test('is nobody else’s while a living process holds it, not even its own a second time', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    assert.equal(on(at(1), takeLease), null);
    on(at(1), (tx) => holder(tx, process.ppid));
    assert.equal(on(at(LEASE_MS - 1), isDrainOnItsWay), true);
    assert.equal(on(at(LEASE_MS - 1), takeLease), null);
  });

  test('of a process that has died is free at once', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      takeLease(tx);
      holder(tx, dead());
      assert.deepEqual(
        [isDrainOnItsWay(tx), drainStatus(tx).running, drainStatus(tx).pid],
        [false, false, null],
      );
      assert.equal(takeLease(tx), 2);
    });
  });

  test('that was not renewed is free, though a process of that id still runs', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    assert.equal(on(at(LEASE_MS), isDrainOnItsWay), false);
    assert.equal(on(at(LEASE_MS), takeLease), 2);
  });

  test('of another boot is free, however short ago that was', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    assert.equal(on(at(1, 'boot-2'), isDrainOnItsWay), false);
    assert.equal(on(at(1, 'boot-2'), takeLease), 2);
  });

  test('neither ends nor lasts by setting the wall clock', async (t) => {
    const on = await ledger(t);
    const day = 24 * 3_600_000;
    const moved = (milliseconds: number, by: number): Instant => {
      const now = at(milliseconds);
      return { ...now, wall: now.wall + by };
    };
    on(at(0), takeLease);
    for (const by of [-day, day]) {
      assert.equal(on(moved(LEASE_MS - 1, by), isDrainOnItsWay), true);
      assert.equal(on(moved(LEASE_MS, by), isDrainOnItsWay), false);
    }
  });

  test('is not had, and not reserved, where the state can only be read', async (t) => {
    const on = await ledger(t);
    assert.equal(on(at(0), takeLease, false), null);
    on(at(0), callDrain, false);
    assert.equal(on(at(0), isDrainOnItsWay), false);
  });
});

describe('what is done under the lease', () => {
  test('is done under its term: each taking has the next', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      for (const term of [1, 2, 3]) {
        assert.equal(takeLease(tx), term);
        assert.equal(holdsLease(tx, term), true);
        giveLeaseBack(tx, WELL);
        assert.equal(holdsLease(tx, term), false, 'it was given back');
      }
    });
  });

  test('is not done any more by one who slept until another had taken it', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    on(at(LEASE_MS), takeLease);
    assert.equal(
      on(at(LEASE_MS), (tx) => holdsLease(tx, 1)),
      false,
    );
    assert.equal(
      on(at(LEASE_MS), (tx) => holdsLease(tx, 2)),
      true,
    );
  });

  test('is not done by one whose lease ran out and was reserved for the next', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    on(at(LEASE_MS), callDrain);
    assert.equal(
      on(at(LEASE_MS), (tx) => holdsLease(tx, 1)),
      false,
    );
  });

  test('goes on when it ran out and nobody has taken it: then it holds anew', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    assert.equal(
      on(at(2 * LEASE_MS), (tx) => holdsLease(tx, 1)),
      true,
    );
    assert.equal(on(at(3 * LEASE_MS - 1), isDrainOnItsWay), true);
  });

  test('renews it, but not each time: that would be a write for every look', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    const look = (milliseconds: number) => {
      on(at(milliseconds), (tx) => holdsLease(tx, 1));
      return on(at(milliseconds), (tx) => tx.row<{ mono: number }>('SELECT mono FROM drain'))?.mono;
    };
    assert.equal(look(1_000), at(0).mono);
    assert.equal(look(10_000), at(10_000).mono);
    assert.equal(on(at(10_000 + LEASE_MS - 1), isDrainOnItsWay), true);
    assert.equal(on(at(10_000 + LEASE_MS), isDrainOnItsWay), false);
  });

  test('is not lent by its number alone: a state that took the place of a corrupt one counts anew', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLease);
    on(at(0), (tx) => tx.write('UPDATE drain SET pid = ?', process.ppid));
    assert.equal(
      on(at(0), (tx) => holdsLease(tx, 1)),
      false,
    );
  });
});
