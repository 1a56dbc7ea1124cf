import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Answer, TakenBack } from '../../src/drain/answer.ts';
import { Declined, HandedOverCaller } from '../../src/drain/caller.ts';
import { ClosingLogs } from '../../src/drain/closing-logs.ts';
import type { HandedOver } from '../../src/drain/handed-over.ts';
import { patienceOf } from '../../src/drain/sign.ts';
import { Strikes } from '../../src/drain/strikes.ts';
import { Turnstile } from '../../src/drain/turnstile.ts';
import type { PortalResult } from '../../src/policy/types.ts';
import type { PortalCalls } from '../../src/portal/calls.ts';
import { milliseconds } from '../../src/state/clock.ts';
import { OpenStates } from '../../src/state/open-states.ts';
import { settings } from './fixture.ts';

const REQUEST = {
  vhost: 'default',
  vhostNamed: false,
  username: 'alice',
  groupname: '',
  clientIp: '198.51.100.7',
  vpnIp: '',
  device: '',
  sessionId: '1-1',
};

const failure = (
  code: 'DEADLINE_EXCEEDED' | 'UNAVAILABLE' | 'INTERNAL',
  counts: 'no' | 'provokable',
): PortalResult => ({
  failure: { code, detail: '', cure: '', counts, misconfigured: false },
});

const ALLOWED: PortalResult = {
  answer: {
    allowed: true,
    reason: '',
    routes: [],
    dnsServers: [],
    shouldDisconnect: false,
    cacheTtl: 'none',
    storable: true,
  },
};

function access(
  t: TestContext,
  result: PortalResult,
  { isConnected = true, hasRetired = false, strikes = new Strikes() } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'ocagent-answers-'));
  t.after(() => rmSync(folder, { recursive: true }));
  // This very process waits.
  const call: HandedOver = {
    name: `${process.pid}.99999999.00`,
    pid: process.pid,
    at: 99_999_999,
    start: { at: milliseconds(), waited: 0 },
    isAgain: false,
    env: { REASON: 'connect' },
  };
  const seen = { asked: 0, failed: 0 };
  const calls = {
    isConnected,
    isProven: isConnected,
    checkPolicy: async () => {
      seen.asked += 1;
      return result;
    },
  } as unknown as PortalCalls;
  const caller = new HandedOverCaller(call, new Answer(folder, call, false), {
    states: new OpenStates(),
    turnstile: new Turnstile(),
    strikes,
    logs: new ClosingLogs(),
    calls,
    onPortalFailed: () => {
      seen.failed += 1;
    },
    hasRetired: () => hasRetired,
  });
  const takeBack = (): void => writeFileSync(join(folder, call.name), '');
  const portal = caller.portal(settings());
  return { portal, seen, takeBack };
}

const WHATEVER = Number.POSITIVE_INFINITY;

describe('a call that a drain asks the portal for', () => {
  test('is left to another connection where this one, which stood, was silent', async (t) => {
    const silent = failure('DEADLINE_EXCEEDED', 'provokable');
    const { portal, seen } = access(t, silent);
    await assert.rejects(portal.ask(REQUEST, WHATEVER, null), Declined);
    assert.deepEqual(seen, { asked: 1, failed: 1 });
    const first = access(t, silent, { isConnected: false });
    assert.equal(await first.portal.ask(REQUEST, WHATEVER, null), silent, 'it has been a new one');
  });

  test('has failed when it is a trial: its place could not be given back', async (t) => {
    const silent = failure('DEADLINE_EXCEEDED', 'provokable');
    const { portal } = access(t, silent, { hasRetired: true });
    assert.equal(await portal.ask(REQUEST, 1_000, null), silent);
  });

  test('says nothing of the connection where this machine was too slow', async (t) => {
    const slow = failure('DEADLINE_EXCEEDED', 'no');
    const { portal, seen } = access(t, slow);
    assert.equal(await portal.ask(REQUEST, WHATEVER, null), slow);
    assert.equal(seen.failed, 0);
  });

  test('says nothing of the connection where the portal fails for one user, or for two between answers', async (t) => {
    const { portal, seen } = access(t, failure('INTERNAL', 'provokable'));
    await portal.ask(REQUEST, WHATEVER, null);
    for (let i = 0; i < 9; i++) {
      // It may be this connection after all: he makes one of his own.
      await assert.rejects(portal.ask(REQUEST, WHATEVER, null), Declined);
    }
    assert.deepEqual(seen, { asked: 10, failed: 0 });
    const ask = async (result: PortalResult, username: string, strikes: Strikes): Promise<number> => {
      const one = access(t, result, { strikes });
      await one.portal.ask({ ...REQUEST, username }, WHATEVER, null);
      return one.seen.failed;
    };
    const sick = failure('INTERNAL', 'provokable');
    const strikes = new Strikes();
    for (let i = 0; i < 9; i++) {
      assert.equal(await ask(sick, `a${i}`, strikes), 0);
      assert.equal(await ask(sick, `b${i}`, strikes), 0);
      assert.equal(await ask(ALLOWED, 'c', strikes), 0);
    }
    assert.equal(await ask(sick, 'a', strikes), 0);
    assert.equal(await ask(sick, 'b', strikes), 0);
    assert.equal(await ask(sick, 'c', strikes), 1, 'but of three in a row');
    assert.equal(await ask(failure('UNAVAILABLE', 'provokable'), 'a', new Strikes()), 1, 'or of its own');
  });

  test('is not asked once the portal has failed over another one', async (t) => {
    const { portal, seen } = access(t, failure('UNAVAILABLE', 'no'), { hasRetired: true });
    await assert.rejects(portal.ask(REQUEST, WHATEVER, null), Declined);
    assert.equal(seen.asked, 0);
  });

  test('is not asked for somebody who has taken it back', async (t) => {
    const { portal, seen, takeBack } = access(t, failure('UNAVAILABLE', 'no'));
    takeBack();
    await assert.rejects(portal.ask(REQUEST, WHATEVER, null), TakenBack);
    assert.equal(seen.asked, 0);
  });
});

describe('how long a launcher leaves its call to a drain', () => {
  const patience = (deadline: number, timeout: number) => {
    const config = settings();
    return patienceOf({
      ...config,
      hook: { ...config.hook, deadline },
      portal: { ...config.portal, timeout },
    });
  };

  test('leaves time for a whole call by a process of its own', () => {
    assert.deepEqual(patience(8_000, 3_000), { untilTaken: 2, untilRecorded: 4, atLast: 7 }, 'the defaults');
    assert.deepEqual(patience(100_000, 3_000), { untilTaken: 2, untilRecorded: 4, atLast: 99 });
    assert.deepEqual(patience(8_000, 5_000), { untilTaken: 2, untilRecorded: 2, atLast: 7 });
    assert.deepEqual(patience(6_000, 4_500), { untilTaken: 1, untilRecorded: 1, atLast: 5 });
    assert.deepEqual(patience(2_600, 1_000), { untilTaken: 1, untilRecorded: 1, atLast: 2 });
  });

  test('is not at all where the deadline is too short for both', () => {
    assert.equal(patience(5_000, 4_000), null);
    assert.equal(patience(1_500, 1_000), null);
    assert.equal(patience(1_000, 3_000), null);
  });
});
