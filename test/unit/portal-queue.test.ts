import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { waitForTurn } from '../../src/policy/turn.ts';
import { ahead, drawTicket, returnTicket, type Ticket } from '../../src/state/portal-queue.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger, openState, scratch } from './fixture.ts';

const LEASE = 8_000;

function draw(tx: Transaction): Ticket {
  const ticket = drawTicket(tx, LEASE);
  assert.ok(ticket);
  return ticket;
}

describe('the queue of those that want to ask the portal', () => {
  test('lets each one know how many are before it', async (t) => {
    const on = await ledger(t);
    const tickets = [1, 2, 3].map(() => on(at(0), draw));
    assert.deepEqual(
      tickets.map((ticket) => ticket.ahead),
      [0, 1, 2],
    );
    on(at(0), (tx) => returnTicket(tx, tickets[0]?.number ?? 0));
    assert.equal(
      on(at(0), (tx) => ahead(tx, tickets[2]?.number ?? 0)),
      1,
    );
  });

  test('never gives a number twice, so that the last one to return does not let a newer one overtake', async (t) => {
    const on = await ledger(t);
    const first = on(at(0), draw);
    on(at(0), (tx) => returnTicket(tx, first.number));
    assert.ok(on(at(0), draw).number > first.number);
  });

  test('takes no notice of a process that died, nor of a ticket that is too old or of an earlier boot', async (t) => {
    const on = await ledger(t);
    const dead = spawnSync(process.execPath, ['--version']).pid;
    on(at(0), (tx) => {
      draw(tx);
      tx.write('UPDATE portal_queue SET pid = ?', dead);
    });
    assert.equal(on(at(0), draw).ahead, 0);
    assert.equal(on(at(LEASE - 1), draw).ahead, 1);
    assert.equal(on(at(LEASE), draw).ahead, 1, 'the one drawn before it');
    assert.equal(on(at(LEASE, 'boot-2'), draw).ahead, 0);
  });

  test('has no place for one that cannot write itself down', async (t) => {
    const on = await ledger(t);
    assert.equal(
      on(at(0), (tx) => drawTicket(tx, LEASE), false),
      null,
    );
  });

  test('is waited in until the ones before have come back', async (t) => {
    const state = await openState(join(scratch(t), 'state.db'));
    const tooMany = 4 * availableParallelism() + 1;
    const tickets = await state.step((tx) => Array.from({ length: tooMany }, () => draw(tx)));
    const last = tickets.at(-1) as Ticket;
    let turn = false;
    const waiting = waitForTurn(state, last, 60_000).then(() => {
      turn = true;
    });
    await new Promise(setImmediate);
    assert.equal(turn, false);
    await state.step((tx) => {
      for (const { number } of tickets.slice(0, -1)) returnTicket(tx, number);
    });
    await waiting;
  });

  test('is not waited in by the first, nor by one that has no time left', async (t) => {
    const state = await openState(join(scratch(t), 'state.db'));
    await waitForTurn(state, { number: 1, ahead: 0 }, 60_000);
    await waitForTurn(state, { number: 1_000, ahead: 999 }, 0);
  });
});
