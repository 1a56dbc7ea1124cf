import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LAUNCHER } from './agent.ts';
import { Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';
import { MOUNTS } from './mounts.ts';

const SCRIPTS = ['connect-script', 'disconnect-script'] as const;

describe('doctor says of ocserv.conf', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('that it names this program, by a link too', async () => {
    await using patient = await Patient.admit(fixture);
    const link = join(patient.agent.folder, 'link');
    symlinkSync(LAUNCHER, link);
    patient.ocserv({ 'connect-script': link, 'disconnect-script': `"${LAUNCHER}"` });
    const { code, findings } = await patient.examine();
    assert.equal(code, 0, JSON.stringify(findings, null, 1));
    const scripts = findings.filter(({ check }) => check.endsWith('-script'));
    assert.deepEqual(
      scripts.map(({ level }) => level),
      ['ok', 'ok', 'ok'],
    );
  });

  test('that it is not there', async () => {
    await using patient = await Patient.admit(fixture);
    rmSync(patient.ocservConf);
    await patient.has('broken', 'ocserv.conf', /ocserv\.conf does not exist/, /--ocserv-conf/);
  });

  test('that it has no connect-script, loudly', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'connect-script': undefined });
    const { findings } = await patient.has(
      'broken',
      'ocserv.connect-script',
      /ocserv\.conf has no connect-script/,
      /connect-script = \/.*\/bin\/ocagent-hook; then: ocserv -t -c .*ocserv\.conf && systemctl reload ocserv/,
    );
    assert.match(
      findings.find(({ check }) => check === 'ocserv.connect-script')?.why ?? '',
      /EVERYBODY .* GETS IN/,
    );
  });

  test('that it has no disconnect-script', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'disconnect-script': undefined });
    await patient.has(
      'broken',
      'ocserv.disconnect-script',
      /has no disconnect-script/,
      /disconnect-script = /,
    );
  });

  test('that it has no host-update-script, which is a note', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'host-update-script': undefined });
    await patient.has(
      'note',
      'ocserv.host-update-script',
      /has no host-update-script/,
      /host-update-script = /,
    );
  });

  for (const line of SCRIPTS) {
    test(`that its ${line} stands in a section, where ocserv ignores it`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ [line]: undefined }, patient.vhost(`${line} = ${LAUNCHER}`));
      await patient.has(
        'broken',
        `ocserv.${line}`,
        new RegExp(
          `${line} of .*ocserv\\.conf \\(line 16\\) stands in \\[vhost:www\\.example\\.net\\], where ocserv ignores it`,
        ),
        /move line 16 above the first line that begins with "\["/,
      );
    });

    test(`that its ${line} is empty`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ [line]: '' });
      await patient.has('broken', `ocserv.${line}`, /cannot be run: it is empty/, /ocagent-hook/);
    });

    const check = `ocserv.${line}`;

    test(`that its ${line} is another program`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ [line]: '/bin/true' });
      await patient.has('broken', check, /names \/.*true.*, which is another program/, /ocagent-hook/);
    });

    test(`that its ${line} does not exist`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ [line]: '/nowhere/ocagent-hook' });
      await patient.has(
        'broken',
        check,
        /\/nowhere\/ocagent-hook does not exist/,
        /^ln -s .*\/bin\/ocagent-hook \/nowhere\/ocagent-hook$/,
      );
    });

    test(`that its ${line} cannot be executed`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ [line]: patient.script('hook', '#!/bin/sh\nexec ocagent-hook\n', 0o644) });
      await patient.has('broken', check, /hook cannot be executed/, /chmod 0755 .*hook$/);
    });

    test(`that its ${line} is a folder`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ [line]: patient.agent.folder });
      await patient.has('broken', check, /is no regular file/, /ocagent-hook/);
    });

    test(`that its ${line} is no absolute path`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ [line]: 'ocagent-hook' });
      await patient.has('broken', check, /ocagent-hook is no absolute path/, /name it from the root/);
    });
  }

  test('that a line which begins with a blank is a further value of the script before it', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'connect-script': `${LAUNCHER}\n  cookie-timeout = 300` });
    await patient.has(
      'broken',
      'ocserv.connect-script',
      /the connect-script of .* \(line 2\) .*begins with a blank/,
      /remove the blanks before line 2/,
    );
  });

  test('that a line keeps ocserv from starting', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({}, 'max-clients 16');
    await patient.has('broken', 'ocserv.conf', /line 16/, /ocserv -t -c|remove line 16/);
  });

  test('that its script lies on a file system from which nothing can be executed', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    const folder = join(patient.agent.folder, 'noexec');
    mkdirSync(folder);
    patient.ocserv({ 'connect-script': join(folder, 'hook') });
    const mounted = `mount -t tmpfs -o noexec tmpfs ${folder}; printf '#!/bin/sh\\nexec ocagent-hook\\n' >${folder}/hook; chmod 755 ${folder}/hook; exec "$@"`;
    await patient.has('broken', 'ocserv.connect-script', /noexec/, /findmnt -T/, [
      'unshare',
      '-m',
      'sh',
      '-ec',
      mounted,
      'sh',
    ]);
  });

  test('that a script of its own calls this program, which is a note', async () => {
    await using patient = await Patient.admit(fixture);
    const script = patient.script('hook', `#!/bin/sh\nexec ${LAUNCHER}\n`);
    patient.ocserv({ 'connect-script': script });
    await patient.has(
      'note',
      'ocserv.connect-script',
      /names .*\/hook, which calls this program/,
      /exec ocagent-hook/,
    );
  });

  test('that ocserv-fw would run such a script through /bin/sh, which it is not for', async () => {
    await using patient = await Patient.admit(fixture);
    const script = patient.script('hook', '#!/usr/bin/python3\nif True:\n  print("ocagent-hook")\n');
    patient.ocserv({ 'connect-script': script, 'restrict-user-to-routes': 'true' });
    await patient.has('broken', 'ocserv.connect-script', /hook is no script for \/bin\/sh/, /\/bin\/sh/);
  });

  test('that everybody can change such a script', async () => {
    await using patient = await Patient.admit(fixture);
    const script = patient.script('hook', `#!/bin/sh\nexec ${LAUNCHER}\n`);
    chmodSync(script, 0o777);
    patient.ocserv({ 'connect-script': script });
    await patient.has(
      'broken',
      'executable',
      /hook can be written by others \(mode 0777\)/,
      /chmod go-w .*hook$/,
    );
  });

  test('that everybody can put another script in the place of a link to this program', async () => {
    await using patient = await Patient.admit(fixture);
    const folder = join(patient.agent.folder, 'open');
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    symlinkSync(LAUNCHER, join(folder, 'hook'));
    patient.ocserv({ 'connect-script': join(folder, 'hook') });
    const { findings } = await patient.has(
      'broken',
      'executable',
      /open can be written by others \(mode 0777\)/,
      /chmod go-w .*open$/,
    );
    assert.doesNotMatch(JSON.stringify(findings), /only root can change/);
  });

  test('that a folder on the way to it belongs to somebody else', {
    skip: process.getuid?.() !== 0,
  }, async () => {
    await using patient = await Patient.admit(fixture);
    const script = patient.script('theirs/hook', `#!/bin/sh\nexec ${LAUNCHER}\n`);
    chownSync(join(patient.agent.folder, 'theirs'), 12_345, 0);
    patient.ocserv({ 'connect-script': script });
    await patient.has('warning', 'executable', /theirs belongs to uid 12345/, /chown root .*theirs$/);
  });

  test('that another copy of this program decides', async () => {
    await using patient = await Patient.admit(fixture);
    const copy = patient.script('bin/ocagent-hook', readFileSync(LAUNCHER, 'utf8'));
    patient.script('dist/boot.cjs', '');
    patient.ocserv({ 'connect-script': copy });
    await patient.has(
      'warning',
      'ocserv.connect-script',
      /another copy of this program/,
      /run .*bin\/ocagent-hook --config .*config\.toml doctor/,
    );
  });

  for (const [what, length, seen, why] of [
    ['empty', 0, /bin\/ocagent-hook is empty/, /EVERYBODY .* GETS IN/],
    ['cut short', 4_096, /bin\/ocagent-hook is cut short/, /refuses every connect/],
  ] as const) {
    test(`that a copy of this program was left ${what}`, async () => {
      await using patient = await Patient.admit(fixture);
      const whole = readFileSync(LAUNCHER, 'utf8');
      const copy = patient.script('bin/ocagent-hook', whole.slice(0, length));
      patient.script('dist/boot.cjs', '');
      patient.ocserv({ 'connect-script': copy, 'restrict-user-to-routes': 'true' });
      const { findings } = await patient.has('broken', 'ocserv.connect-script', seen, /install it anew/);
      assert.match(findings.find(({ check }) => check === 'ocserv.connect-script')?.why ?? '', why);
    });
  }

  test('that a script of its own calls this program, where both have one name', async () => {
    await using patient = await Patient.admit(fixture);
    const script = patient.script('bin/ocagent-hook', `#!/bin/sh\nexec ${LAUNCHER}\n`);
    patient.ocserv({ 'connect-script': script });
    await patient.has('note', 'ocserv.connect-script', /bin\/ocagent-hook, which calls this program/, /exec/);
  });

  test('that a script which only speaks of this program is another one', async () => {
    await using patient = await Patient.admit(fixture);
    const script = patient.script('hook', '#!/bin/sh\n# ocagent-hook comes later\nexit 0\n');
    patient.ocserv({ 'connect-script': script });
    await patient.has('broken', 'ocserv.connect-script', /hook, which is another program/, /ocagent-hook/);
  });

  for (const setting of [
    'OCAGENT_CONFIG=/etc/other.toml exec',
    'export OCAGENT_CONFIG="/etc/other.toml"; exec',
  ]) {
    test(`that a script of its own sets another configuration: ${setting}`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ 'connect-script': patient.script('hook', `#!/bin/sh\n${setting} ${LAUNCHER}\n`) });
      await patient.has(
        'warning',
        'ocserv.connect-script',
        /hook sets OCAGENT_CONFIG to \/etc\/other\.toml, and .*config\.toml was checked/,
        /^run ocagent-hook --config \/etc\/other\.toml doctor$/,
      );
    });
  }

  test('nothing of that where a script sets this configuration, or one that its text does not tell', async () => {
    await using patient = await Patient.admit(fixture);
    for (const value of [patient.agent.configFile, '"$HERE/config.toml"']) {
      const text = `#!/bin/sh\nOCAGENT_CONFIG=${value} exec ${LAUNCHER}\n`;
      patient.ocserv({ 'connect-script': patient.script('hook', text) });
      const { findings } = await patient.examine();
      const found = findings.filter(({ check }) => check === 'ocserv.connect-script');
      assert.deepEqual(
        found.map(({ level }) => level),
        ['note'],
      );
    }
  });
});
