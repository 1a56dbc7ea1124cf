import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Ending } from '../../scripts/bench/storm.ts';
import { verdictOf } from '../../scripts/bench/verdict.ts';

/** Of the bench's users every tenth is denied: 9, 19 and so on. */
function ending(number: number, status: number, line: Readonly<Record<string, unknown>> = {}): Ending {
  const allowed = status === 0;
  const decision = {
    msg: allowed ? 'connect allowed' : 'connect denied',
    allowed,
    source: 'portal',
    username: `user${number}`,
    duration_ms: 12,
  };
  return { number, status, log: `${JSON.stringify({ ...decision, ...line })}\n` };
}

const NOTHING_WRONG = {
  wronglyDenied: 0,
  wronglyAllowed: 0,
  otherwise: 0,
  deadlines: 0,
  unrecorded: 0,
  slowest: 12,
};

describe("the bench's verdict on a storm", () => {
  test('finds nothing wrong where each was answered as the portal has it', () => {
    assert.deepEqual(verdictOf([ending(8, 0), ending(9, 1)], 'portal'), NOTHING_WRONG);
  });

  test('counts who was turned away or let in against the portal', () => {
    const verdict = verdictOf([ending(8, 1), ending(9, 0)], 'portal');
    assert.deepEqual(verdict, { ...NOTHING_WRONG, wronglyDenied: 1, wronglyAllowed: 1 });
  });

  test("counts another source, somebody else's decision, one that the status does not bear out, and none", () => {
    const endings = [
      ending(1, 0, { source: 'stale' }),
      ending(2, 0, { username: 'user3' }),
      ending(3, 0, { allowed: false }),
      { number: 4, status: 0, log: 'not of the log\n' },
    ];
    assert.deepEqual(verdictOf(endings, 'portal'), { ...NOTHING_WRONG, otherwise: 4 });
  });

  test('counts a deadline, the own one and that of the call, once for each hook', () => {
    const deadline = '{"msg":"hook.deadline answered: this decision and its session are not recorded"}\n';
    const call = '{"msg":"the portal could not be asked","code":"DEADLINE_EXCEEDED"}\n';
    const both = { ...ending(1, 0), log: deadline + call + ending(1, 0).log };
    assert.equal(verdictOf([both, ending(2, 0)], 'portal').deadlines, 1);
  });

  test('counts what could not be written down', () => {
    const lost = '{"msg":"the state could not be written: this decision and its session are not recorded"}\n';
    const one = { ...ending(1, 0), log: lost + ending(1, 0).log };
    assert.deepEqual(verdictOf([one, ending(2, 0)], 'portal'), { ...NOTHING_WRONG, unrecorded: 1 });
  });
});
