import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Instant } from '../../src/resilience/instant.ts';
import {
  giveLeadBack,
  holdsLead,
  leaderOf as leaderFor,
  SILENT_MS,
  takeLead as takeLeadFor,
} from '../../src/state/leader.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { StateUnusable } from '../../src/state/unusable.ts';
import { at, ledger } from './fixture.ts';
import { asks, dead, leaderRow, leads, PORTAL, questionRows, stranger } from './siblings.ts';

const DAY = 24 * 3_600_000;

const leaderOf = (tx: Transaction) => leaderFor(tx, PORTAL);
const takeLead = (tx: Transaction) => takeLeadFor(tx, PORTAL);

describe('who leads', () => {
  test('is nobody at first', async (t) => {
    const on = await ledger(t);
    assert.equal(on(at(0), leaderOf), null);
  });

  test('is a living process that was heard of, with its term', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => leads(tx, pid));
    assert.partialDeepStrictEqual(on(at(0), leaderOf), { term: 1, pid });
    assert.partialDeepStrictEqual(on(at(SILENT_MS - 1), leaderOf), { term: 1, pid });
  });

  test('is nobody once that process has died, however short ago it was heard of', async (t) => {
    const on = await ledger(t);
    const sibling = stranger(t);
    on(at(0), (tx) => leads(tx, sibling.pid));
    assert.notEqual(on(at(0), leaderOf), null);
    await sibling.kill();
    assert.equal(on(at(0), leaderOf), null);
    on(at(0), (tx) => leads(tx, dead()));
    assert.equal(on(at(0), leaderOf), null);
  });

  test('is nobody once it was silent for too long, though it runs', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => leads(tx, pid));
    assert.equal(on(at(SILENT_MS), leaderOf), null);
    assert.equal(on(at(10 * SILENT_MS), leaderOf), null);
  });

  test('is not this process itself: another one once had its id', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => leads(tx, process.pid));
    assert.equal(on(at(1), leaderOf), null);
  });

  test('is nobody after a reboot, whoever has that id now', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => leads(tx, pid));
    assert.equal(on(at(1, 'boot-2'), leaderOf), null);
  });

  test('is nobody by a moment that has not been yet', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(10_000), (tx) => leads(tx, pid));
    assert.equal(on(at(9_999), leaderOf), null);
  });

  test('neither ends nor lasts by setting the wall clock', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    const moved = (milliseconds: number, by: number): Instant => ({
      ...at(milliseconds),
      wall: at(milliseconds).wall + by,
    });
    on(at(0), (tx) => leads(tx, pid));
    for (const by of [-DAY, DAY]) {
      assert.notEqual(on(moved(SILENT_MS - 1, by), leaderOf), null);
      assert.equal(on(moved(SILENT_MS, by), leaderOf), null);
    }
  });

  test('is told by wall time where the kernel names no boot', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0, ''), (tx) => leads(tx, pid));
    assert.notEqual(on(at(SILENT_MS - 1, ''), leaderOf), null);
    assert.equal(on(at(SILENT_MS, ''), leaderOf), null);
  });

  test('is a fault of the state where there is no row to tell it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => tx.write('DELETE FROM leader'));
    assert.throws(() => on(at(0), leaderOf), StateUnusable);
  });
});

describe('the lead', () => {
  test('has a term of its own each time it is taken, from whomever', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      assert.equal(takeLead(tx), 1);
      assert.equal(takeLead(tx), 2);
      leads(tx, pid);
      assert.equal(takeLead(tx), 4);
      assert.deepEqual(leaderRow(tx), { term: 4, pid: process.pid, portal: PORTAL, ...at(0) });
    });
  });

  test('is held under its own term by its own process alone', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      const term = takeLead(tx);
      assert.equal(holdsLead(tx, term), true);
      assert.equal(holdsLead(tx, term - 1), false);
      assert.equal(holdsLead(tx, term + 1), false);
      tx.write('UPDATE leader SET pid = ?', pid);
      assert.equal(holdsLead(tx, term), false, 'a state that took the place of a corrupt one counts anew');
      tx.write('UPDATE leader SET pid = 0');
      assert.equal(holdsLead(tx, term), false);
    });
  });

  test('of one who was taken to be stuck is lost once another has it, and not before', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), takeLead);
    assert.equal(
      on(at(5 * SILENT_MS), (tx) => holdsLead(tx, 1)),
      true,
    );
    on(at(10 * SILENT_MS), (tx) => leads(tx, pid));
    assert.equal(
      on(at(10 * SILENT_MS), (tx) => holdsLead(tx, 1)),
      false,
    );
    assert.partialDeepStrictEqual(on(at(10 * SILENT_MS), leaderRow), { term: 2, pid });
  });

  test('lasts as long as its process gives signs of life, and looks more often than it writes', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLead);
    const look = (milliseconds: number): number =>
      on(at(milliseconds), (tx) => {
        assert.equal(holdsLead(tx, 1), true);
        return leaderRow(tx).mono - at(0).mono;
      });
    assert.equal(look(SILENT_MS / 8 - 1), 0);
    assert.equal(look(SILENT_MS / 8), SILENT_MS / 8);
    for (let now = SILENT_MS / 8; now <= 4 * SILENT_MS; now += SILENT_MS / 20) {
      assert.ok(now - look(now) < SILENT_MS / 8, `a sign of life at ${now}`);
    }
    const { wall, mono } = on(at(4 * SILENT_MS), leaderRow);
    assert.equal(wall - mono, at(0).wall - at(0).mono, 'by both clocks');
  });

  test('gives a sign of life only where it is held', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => leads(tx, pid));
    on(at(SILENT_MS), (tx) => holdsLead(tx, 1));
    assert.equal(on(at(SILENT_MS), leaderRow).mono, at(0).mono);
  });

  test('is given back by whoever holds it, and by nobody else', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      takeLead(tx);
      leads(tx, pid);
      for (const term of [1, 2, 3]) giveLeadBack(tx, term);
      assert.partialDeepStrictEqual(leaderRow(tx), { term: 2, pid });
      const term = takeLead(tx);
      giveLeadBack(tx, term - 1);
      assert.partialDeepStrictEqual(leaderRow(tx), { term, pid: process.pid });
      giveLeadBack(tx, term);
      assert.partialDeepStrictEqual(leaderRow(tx), { term, pid: 0 });
      assert.equal(takeLead(tx), term + 1, 'the terms go on');
    });
  });

  test('is neither renewed nor given back where the state can only be read', async (t) => {
    const on = await ledger(t);
    on(at(0), takeLead);
    on(
      at(SILENT_MS),
      (tx) => {
        assert.equal(holdsLead(tx, 1), true);
        giveLeadBack(tx, 1);
      },
      false,
    );
    assert.partialDeepStrictEqual(on(at(SILENT_MS), leaderRow), { pid: process.pid, mono: at(0).mono });
  });
});

describe('a leader for another portal', () => {
  const OTHER = 'another portal';

  test('is none: neither does it lead nor is it asked', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      leads(tx, pid, OTHER);
      assert.equal(leaderOf(tx), null);
      assert.partialDeepStrictEqual(leaderFor(tx, OTHER), { term: 1, pid });
    });
  });

  test('loses the lead to one for this portal, and its questions are gone: they were not for this one', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      leads(tx, pid, OTHER);
      asks(tx, pid);
      asks(tx, pid, { taken: 1 });
      asks(tx, pid, { answer: '{}' });
      assert.equal(takeLead(tx), 2);
      assert.deepEqual(questionRows(tx), []);
      assert.equal(leaderFor(tx, OTHER), null);
      assert.equal(leaderRow(tx).portal, PORTAL);
    });
  });

  test('keeps them gone also when it was long dead, or had given the lead back', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      for (const led of [dead(), 0, process.pid]) {
        leads(tx, led, OTHER);
        asks(tx, pid);
        takeLead(tx);
        assert.deepEqual(questionRows(tx), []);
      }
    });
  });
});

describe('whoever takes the lead', () => {
  test('clears away what nobody needs any more, and keeps the rest', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), takeLead);
    const kept = on(at(0), (tx) => {
      asks(tx, pid, { until: 10 });
      asks(tx, pid, { until: 9_000, boot: 'boot-0' });
      return [asks(tx, pid, { until: 11 }), asks(tx, pid, { until: 11, answer: '{}' })];
    });
    on(at(10), takeLead);
    assert.deepEqual(
      on(at(10), questionRows).map(({ number }) => number),
      kept.map(({ number }) => number),
    );
  });
});
