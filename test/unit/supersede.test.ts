import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { supersedes } from '../../src/resilience/supersede.ts';

/** Asked at 10, kept at 20. */
const kept = (allowed: boolean) => ({ asked: 10, answered: 20, allowed });
const answer = (asked: number, allowed: boolean) => ({ asked, allowed });

describe('of two answers about the same user', () => {
  test('the one that was asked for after the other had come is the newer, whatever it says', () => {
    for (const before of [true, false])
      for (const now of [true, false]) assert.equal(supersedes(answer(21, now), kept(before)), true);
  });

  test('of two that overlapped the denial wins, whichever was asked for or came first', () => {
    for (const asked of [5, 15]) {
      assert.equal(supersedes(answer(asked, false), kept(true)), true, `denial asked at ${asked}`);
      assert.equal(supersedes(answer(asked, true), kept(false)), false, `allowance asked at ${asked}`);
    }
  });

  test('of two that overlapped and say the same the one asked for later stays', () => {
    for (const allowed of [true, false]) {
      assert.equal(supersedes(answer(15, allowed), kept(allowed)), true);
      assert.equal(supersedes(answer(5, allowed), kept(allowed)), false);
    }
  });
});

test('answers that all overlap come to the same verdict in whatever order they arrive', () => {
  const answers = fc.array(fc.boolean(), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(
      answers.chain((verdicts) =>
        fc.record({
          verdicts: fc.constant(verdicts),
          arrival: fc.shuffledSubarray([...verdicts.keys()], { minLength: verdicts.length }),
        }),
      ),
      ({ verdicts, arrival }) => {
        let standing: ReturnType<typeof kept> | null = null;
        arrival.forEach((asked, i) => {
          const fresh = answer(asked, verdicts[asked] as boolean);
          if (standing === null || supersedes(fresh, standing)) standing = { ...fresh, answered: 100 + i };
        });
        const { allowed } = standing as unknown as { allowed: boolean };
        assert.equal(allowed, !verdicts.includes(false));
      },
    ),
  );
});
