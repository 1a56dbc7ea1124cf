import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { campaign } from '../../scripts/soak/campaign.ts';
import { findFaults, type Heard, type Recorded } from '../../scripts/soak/judge.ts';

describe('while hooks, drains and the portal are killed at random moments', () => {
  test('nothing that was recorded is lost, altered or reported out of order (make soak: longer)', async (t) => {
    const { recorded, delivered, killed, faults } = await campaign({
      rounds: 60,
      width: 4,
      random: Math.random,
      say: (text) => t.diagnostic(text),
    });
    assert.deepEqual(faults, []);
    assert.ok(recorded > 30 && delivered > 30, `${recorded} on record, ${delivered} delivered`);
    assert.ok(killed.hooks + killed.drains + killed.portals > 0, 'something was killed');
  });
});

describe('the judge of that campaign', () => {
  const session: Recorded = {
    sessionId: '1-1',
    source: 'portal',
    endEventId: 'e2',
    bytesIn: '5',
    ended: 1,
  };
  const connect: Heard = { rpc: 'ReportConnect', eventId: 'e1', sessionId: '1-1', bytesIn: '' };
  const disconnect: Heard = { rpc: 'ReportDisconnect', eventId: 'e2', sessionId: '1-1', bytesIn: '5' };
  const faults = (...heard: Heard[]) => findFaults([session], heard).map(({ what }) => what);

  test('is content with each once, and with repeats under the same id', () => {
    assert.deepEqual(faults(connect, disconnect), []);
    assert.deepEqual(faults(connect, connect, disconnect, disconnect), []);
  });

  for (const [fault, heard] of [
    ['its disconnect was lost', [connect]],
    ['its connect was lost', [disconnect]],
    ['its connect has several event ids', [connect, { ...connect, eventId: 'e3' }, disconnect]],
    ['another event id', [connect, { ...disconnect, eventId: 'e3' }]],
    ['other byte counts', [connect, { ...disconnect, bytesIn: '6' }]],
    ['the disconnect came before the connect', [disconnect, connect]],
    ['was never recorded', [connect, disconnect, { ...connect, sessionId: '2-2' }]],
  ] as const) {
    test(`sees that ${fault}`, () => assert.deepEqual(faults(...heard), [fault]));
  }
});
