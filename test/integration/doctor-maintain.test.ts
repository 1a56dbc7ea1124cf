import assert from 'node:assert/strict';
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ALONE, Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';
import { MOUNTS } from './mounts.ts';

describe('doctor says of the periodic work', () => {
  const fixture = withPortal({ default: { allowed: true } });
  const LINE = '* * * * * root /usr/local/bin/ocagent-hook maintain --quiet\n';
  const HOUR_MS = 3_600_000;

  function lastRun(patient: Patient, at: number | null): void {
    patient.change(`UPDATE maintenance SET last_run = ${at}`);
  }

  /** With these files in /etc/cron.d or /etc/systemd/system, and these processes. */
  function scheduled(
    patient: Patient,
    place: string,
    files: Record<string, string>,
    running?: string,
  ): string[] {
    const folder = join(patient.agent.folder, 'schedule');
    for (const [name, text] of Object.entries(files)) patient.script(`schedule/${name}`, text, 0o644);
    const program = join(patient.agent.folder, running ?? 'nothing');
    copyFileSync('/bin/sleep', program);
    chmodSync(program, 0o755);
    const start = running === undefined ? '' : `${program} 60 2>/dev/null & `;
    return [...ALONE, '--mount', 'sh', '-ec', `mount --bind ${folder} ${place}; ${start}exec "$@"`, 'sh'];
  }

  test('that nothing runs it, and nothing has for an hour', async () => {
    await using patient = await Patient.admit(fixture);
    lastRun(patient, Date.now() - HOUR_MS);
    await patient.has(
      'broken',
      'maintain',
      /nothing runs ocagent-hook maintain; it last ran 60 minute/,
      /^echo '\* \* \* \* \* root .*\/bin\/ocagent-hook --config \/.*\/config\.toml maintain --quiet' >\/etc\/cron\.d\//,
    );
  });

  test('that nothing runs it, nor ever has', async () => {
    await using patient = await Patient.admit(fixture);
    lastRun(patient, null);
    await patient.has('broken', 'maintain', /nothing runs ocagent-hook maintain, nor ever has/, /cron\.d/);
  });

  test('that its last run is in the future, and that nothing runs it', async () => {
    await using patient = await Patient.admit(fixture);
    lastRun(patient, Date.now() + 3 * HOUR_MS);
    await patient.has('broken', 'maintain', /it last ran in the future: the clock was set back$/, /cron\.d/);
  });

  test('that it is not known what runs it, where something does', async () => {
    await using patient = await Patient.admit(fixture);
    await patient.has(
      'note',
      'maintain',
      /no crontab or timer .* was found, but it ran 0 minute/,
      /every minute/,
    );
  });

  for (const [what, files, ago, running, level, expected, cure] of [
    [
      'cron runs it',
      { 'ocagent-hook': LINE },
      0,
      'cron',
      'ok',
      /ocagent-hook runs ocagent-hook maintain, last 0 minute/,
      /^$/,
    ],
    [
      'cron is to run it, and it has not come to its end for an hour',
      { 'ocagent-hook': LINE },
      HOUR_MS,
      'cron',
      'broken',
      /\/etc\/cron\.d\/ocagent-hook is to run .* last came to its end 60 minute/,
      /journalctl -u cron/,
    ],
    [
      'cron is to run it, and it never has',
      { 'ocagent-hook': LINE },
      null,
      'cron',
      'warning',
      /never come to its end/,
      /by hand/,
    ],
    [
      'no cron runs',
      { 'ocagent-hook': LINE },
      HOUR_MS,
      undefined,
      'broken',
      /no cron runs on this machine/,
      /enable --now cron/,
    ],
    [
      "cron passes over its file for the file's name",
      { 'ocagent-hook.cron': LINE },
      HOUR_MS,
      'cron',
      'broken',
      /names hold a dot/,
      /mv \/etc\/cron\.d\/ocagent-hook\.cron \/etc\/cron\.d\/ocagent-hook-cron/,
    ],
    [
      'its last line has no end',
      { 'ocagent-hook': LINE.trimEnd() },
      HOUR_MS,
      'cron',
      'broken',
      /line end/,
      /echo >>/,
    ],
    [
      'its line is commented out',
      { 'ocagent-hook': `# ${LINE}` },
      HOUR_MS,
      'cron',
      'broken',
      /nothing runs ocagent-hook maintain; it last ran/,
      /cron\.d/,
    ],
  ] as const) {
    test(`that ${what}`, MOUNTS, async () => {
      await using patient = await Patient.admit(fixture);
      lastRun(patient, ago === null ? null : Date.now() - ago);
      const inside = scheduled(patient, '/etc/cron.d', files, running);
      if (level === 'ok') {
        const { code, findings } = await patient.examine(inside);
        assert.equal(code, 0);
        assert.match(findings.find(({ check }) => check === 'maintain')?.what ?? '', expected);
      } else await patient.has(level, 'maintain', expected, cure, inside);
    });
  }

  test('that others can write its crontab, which cron then passes over', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    lastRun(patient, Date.now() - HOUR_MS);
    const inside = scheduled(patient, '/etc/cron.d', { 'ocagent-hook': LINE }, 'cron');
    chmodSync(join(patient.agent.folder, 'schedule', 'ocagent-hook'), 0o666);
    await patient.has('broken', 'maintain', /that others can write/, /chmod 0644/, inside);
  });

  const UNITS = {
    'ocagent-maintain.timer': '[Timer]\nOnCalendar=minutely\n',
    'ocagent-maintain.service': '[Service]\nExecStart=/usr/local/bin/ocagent-hook maintain --quiet\n',
  };

  test('that its timer is not enabled', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    lastRun(patient, Date.now() - HOUR_MS);
    const inside = scheduled(patient, '/etc/systemd/system', UNITS);
    await patient.has(
      'broken',
      'maintain',
      /ocagent-maintain\.timer never runs .*: it is not enabled/,
      /systemctl enable --now ocagent-maintain\.timer/,
      inside,
    );
  });

  test('that its timer does not run it', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    lastRun(patient, Date.now() - HOUR_MS);
    const inside = scheduled(patient, '/etc/systemd/system', {
      ...UNITS,
      'timers.target.wants/ocagent-maintain.timer': '',
    });
    await patient.has(
      'broken',
      'maintain',
      /ocagent-maintain\.timer is to run .* 60 minute/,
      /systemctl status ocagent-maintain\.timer/,
      inside,
    );
  });
});
