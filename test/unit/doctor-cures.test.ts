import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { configOption, forConfiguration } from '../../src/doctor/cures.ts';
import { note } from '../../src/doctor/finding.ts';
import { cronLineOf } from '../../src/doctor/maintain.ts';
import { quoted } from '../../src/doctor/quoted.ts';
import { runsMaintain } from '../../src/doctor/schedule.ts';

const DEFAULT = '/etc/ocagent-hook/config.toml';

describe('a cure names the configuration that was examined', () => {
  const cure = (text: string, file: string): string =>
    forConfiguration(note('c', 'what', 'why', text), file).cure;

  test('unless it is the one that is used without being named', () => {
    assert.equal(cure('run ocagent-hook events flush', DEFAULT), 'run ocagent-hook events flush');
  });

  test('in each command of ours', () => {
    assert.equal(
      cure('edit /srv/x.toml, then run ocagent-hook config check; or ocagent-hook maintain', '/srv/x.toml'),
      'edit /srv/x.toml, then run ocagent-hook --config /srv/x.toml config check; or ocagent-hook --config /srv/x.toml maintain',
    );
  });

  test('and leaves alone what names one already, or is no command', () => {
    for (const text of ['run ocagent-hook --config /b.toml doctor', 'end it with: exec ocagent-hook']) {
      assert.equal(cure(text, '/a.toml'), text);
    }
  });

  test('from the root, and as one word', () => {
    assert.equal(configOption('my $x.toml'), ` --config '${process.cwd()}/my $x.toml'`);
    assert.equal(cure('ocagent-hook maintain', '/$& x'), "ocagent-hook --config '/$& x' maintain");
  });
});

describe('the line for cron', () => {
  for (const [file, expected] of [
    [DEFAULT, '* * * * * root /opt/bin/ocagent-hook maintain --quiet'],
    ['/srv/x.toml', '* * * * * root /opt/bin/ocagent-hook --config /srv/x.toml maintain --quiet'],
    ['/srv/a %.toml', "* * * * * root /opt/bin/ocagent-hook --config '/srv/a \\%.toml' maintain --quiet"],
  ] as const) {
    test(`for ${file}`, () => {
      const line = cronLineOf('/opt/bin/ocagent-hook', file);
      assert.equal(line, expected);
      assert.ok(runsMaintain(line));
    });
  }
});

test('a word is quoted where a shell would not take it as it is', () => {
  assert.equal(quoted('/etc/x-1.toml'), '/etc/x-1.toml');
  assert.equal(quoted("it's"), "'it'\\''s'");
  assert.equal(quoted('$(x)'), "'$(x)'");
  assert.equal(quoted(''), "''");
});
