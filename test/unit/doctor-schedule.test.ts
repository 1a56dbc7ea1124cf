import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { findSchedules, runsMaintain } from '../../src/doctor/schedule.ts';
import { scratch } from './fixture.ts';

/** A machine with these files. */
function machine(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = scratch(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text, { mode: 0o644 });
  }
  return root;
}

const LINE = '* * * * * root /usr/local/bin/ocagent-hook maintain --quiet\n';
const SERVICE = '[Service]\nType=oneshot\nExecStart=/usr/local/bin/ocagent-hook maintain --quiet\n';

describe('a line of a crontab runs maintain', () => {
  for (const line of [
    LINE,
    '*/5 * * * * /opt/ocagent-hook/bin/ocagent-hook --config /etc/x.toml maintain',
    '@hourly root ocagent-hook maintain',
    '\t* * * * *\troot\tOCAGENT_CONFIG=/etc/x.toml ocagent-hook maintain',
    '* * * * * root OCAGENT_CONFIG="/etc/a b" /opt/bin/ocagent-hook --config /etc/x.toml maintain >/dev/null 2>&1',
    '* * * * * root flock -n /run/lock/ocagent-hook /usr/local/bin/ocagent-hook maintain --quiet',
    "* * * * * root flock -n /run/x.lock -c 'ocagent-hook maintain'",
    '* * * * * root cd / && timeout 50 nice ocagent-hook --config=/etc/x.toml maintain --quiet | logger -t vpn',
    '* * * * * root [ -x /usr/local/bin/ocagent-hook ] && /usr/local/bin/ocagent-hook maintain',
    "* * * * * root sh -c 'sleep 5; exec ocagent-hook maintain' # ours",
    '* * * * * root ocagent-hook 2>>/var/log/x maintain',
    '0-59/1 * * jan-dec mon-sun root "/opt/my dir/ocagent-hook" maintain --quiet%input',
  ]) {
    test(JSON.stringify(line), () => assert.ok(runsMaintain(line)));
  }
  for (const line of [
    `#${LINE}`,
    ` # ${LINE}`,
    '* * * * * root ocagent-hook status',
    '* * * * * root other maintain',
    'COMMAND="ocagent-hook maintain"',
    '* * * * * root echo ocagent-hook # maintain',
    '* * * * * root echo ocagent-hook maintain',
    '* * * * * root ocagent-hook events flush; echo maintain done',
    '* * * * * root ocagent-hook --config maintain status',
    '* * * * * root ocagent-hook status % ocagent-hook maintain',
    '* * * * * root not-ocagent-hook maintain',
    "* * * * * root sh -c 'echo ocagent-hook maintain'",
    'ocagent-hook maintain',
    '',
  ]) {
    test(`not: ${JSON.stringify(line)}`, () => assert.ok(!runsMaintain(line)));
  }
});

describe('what runs maintain is found', () => {
  for (const file of [
    'etc/crontab',
    'etc/cron.d/ocagent-hook',
    'var/spool/cron/crontabs/root',
    'var/spool/cron/root',
  ]) {
    test(`in /${file}`, (t) => {
      const found = findSchedules(machine(t, { [file]: `# periodic work\n${LINE}` }));
      assert.deepEqual(found, [{ where: `/${file}`, by: 'cron', idle: null }]);
    });
  }

  test('in a timer of systemd that is enabled', (t) => {
    const root = machine(t, {
      'lib/systemd/system/ocagent.timer': '[Timer]\nOnCalendar=minutely\n',
      'lib/systemd/system/ocagent.service': SERVICE,
      'etc/systemd/system/timers.target.wants/ocagent.timer': '',
    });
    assert.deepEqual(findSchedules(root), [{ where: 'ocagent.timer', by: 'systemd', idle: null }]);
  });

  test('in a timer that names its service', (t) => {
    const root = machine(t, {
      'etc/systemd/system/minutely.timer': '[Timer]\nUnit=vpn-work.service\n',
      'etc/systemd/system/vpn-work.service': SERVICE,
    });
    assert.equal(findSchedules(root)[0]?.where, 'minutely.timer');
    assert.match(findSchedules(root)[0]?.idle?.cure ?? '', /systemctl enable --now minutely\.timer/);
  });

  test('in a timer whose service a drop-in has made run it', (t) => {
    const root = machine(t, {
      'lib/systemd/system/ocagent.timer': '[Timer]\n',
      'lib/systemd/system/ocagent.service': '[Service]\nExecStart=/bin/true\n',
      'etc/systemd/system/ocagent.service.d/run.conf':
        '[Service]\nExecStart=\nExecStart=-/usr/bin/flock -n /run/x \\\n  /usr/local/bin/ocagent-hook maintain\n',
    });
    assert.equal(findSchedules(root)[0]?.where, 'ocagent.timer');
  });

  test('not in a timer whose service a drop-in has made run something else', (t) => {
    const root = machine(t, {
      'lib/systemd/system/ocagent.timer': '[Timer]\n',
      'lib/systemd/system/ocagent.service': SERVICE,
      'etc/systemd/system/ocagent.service.d/other.conf': '[Service]\nExecStart=\nExecStart=/bin/true\n',
    });
    assert.deepEqual(findSchedules(root), []);
  });

  test('not in a timer of which an administrator has overridden the service', (t) => {
    const root = machine(t, {
      'lib/systemd/system/ocagent.timer': '[Timer]\n',
      'lib/systemd/system/ocagent.service': SERVICE,
      'etc/systemd/system/ocagent.service': '[Service]\nExecStart=/bin/true\n',
    });
    assert.deepEqual(findSchedules(root), []);
  });

  test('nowhere on a machine that has nothing of the kind', (t) => {
    assert.deepEqual(findSchedules(scratch(t)), []);
  });
});
