import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ageOf } from '../../src/doctor/age.ts';
import { judgeMaintain } from '../../src/doctor/maintain.ts';

const NOW = 1_800_000_000_000;
const HOURS_MS = 3 * 3_600_000;

test('an age is never negative: a minute may be between two looks, past that the clock was set back', () => {
  assert.equal(ageOf(NOW - 5, NOW), 5);
  assert.equal(ageOf(NOW + 60_000, NOW), 0);
  assert.equal(ageOf(NOW + 60_001, NOW), 'in the future');
});

describe('a run of maintain whose time is hours ahead', () => {
  const cronLine = '* * * * * root /usr/local/bin/ocagent-hook maintain --quiet';
  const judge = (schedules: Parameters<typeof judgeMaintain>[0]) =>
    judgeMaintain(schedules, NOW + HOURS_MS, NOW, cronLine, new Set(['cron']));

  test('is not recent where cron is to run it', () => {
    const [finding] = judge([{ where: '/etc/cron.d/x', by: 'cron', idle: null }]);
    assert.equal(finding?.level, 'broken');
    assert.match(finding.what, /it last came to its end in the future: the clock was set back$/);
  });

  test('is not recent where nothing is known to run it', () => {
    const [finding] = judge([]);
    assert.equal(finding?.level, 'broken');
    assert.match(finding.what, /it last ran in the future: the clock was set back$/);
  });
});
