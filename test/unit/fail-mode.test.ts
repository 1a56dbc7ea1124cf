import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { failMode } from '../../src/policy/fail-mode.ts';
import type { FailMode, Source } from '../../src/policy/types.ts';

const MODES = ['open', 'close', 'stale'] as const;
const ALLOWED = { allowed: true, reason: '' };
const DENIED = { allowed: false, reason: 'account locked' };

const TABLE: readonly (readonly [FailMode, 'allowance' | 'denial' | 'nothing', boolean, Source])[] = [
  ['open', 'allowance', true, 'fail-open'],
  ['open', 'denial', false, 'stale'],
  ['open', 'nothing', true, 'fail-open'],
  ['close', 'allowance', false, 'fail-close'],
  ['close', 'denial', false, 'fail-close'],
  ['close', 'nothing', false, 'fail-close'],
  ['stale', 'allowance', true, 'stale'],
  ['stale', 'denial', false, 'stale'],
  ['stale', 'nothing', false, 'fail-close'],
];
const ENTRY = { allowance: ALLOWED, denial: DENIED, nothing: undefined };

describe('while the portal cannot be asked', () => {
  for (const [mode, entry, allowed, source] of TABLE) {
    const does = allowed ? 'allows' : 'denies';
    test(`fail mode ${mode} with ${entry} that is usable ${does} (${source})`, () => {
      const verdict = failMode(mode, ENTRY[entry], false, 'why');
      assert.deepEqual([verdict.allowed, verdict.source], [allowed, source]);
    });
  }

  test('an emergency user gets in by every fail mode, even one whom the portal has just refused', () => {
    for (const mode of MODES) {
      for (const usable of [ALLOWED, DENIED, undefined]) {
        const { allowed, source } = failMode(mode, usable, true, 'why');
        assert.deepEqual([allowed, source], [true, 'emergency'], mode);
      }
    }
  });

  test("a denial from a kept decision has the portal's own reason", () => {
    assert.equal(failMode('open', DENIED, false, 'why').reason, 'account locked');
    assert.equal(failMode('stale', DENIED, false, 'why').reason, 'account locked');
  });

  test('every other verdict says why the portal was not asked, and which fail mode spoke', () => {
    for (const mode of MODES) {
      const { reason } = failMode(mode, undefined, false, 'the portal is away');
      assert.match(reason, /the portal is away/);
      assert.match(reason, new RegExp(`fail mode ${mode}`));
      assert.match(failMode(mode, undefined, true, 'the portal is away').reason, /the portal is away/);
    }
  });
});
