import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { findOcservConf } from '../../src/doctor/ocserv-files.ts';
import { configNamed, type Server } from '../../src/doctor/processes.ts';
import { scratch } from './fixture.ts';

const server = (configFile: string | null): Server => ({
  pid: 1,
  configFile,
  stderr: null,
  environment: null,
  inForce: null,
});

function units(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = scratch(t);
  for (const [name, start] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), `[Service]\n${start}\n`);
  }
  return root;
}

const UNIT = 'lib/systemd/system/ocserv.service';

describe("ocserv's configuration is", () => {
  test('the one that was named, whatever runs', () => {
    assert.deepEqual(findOcservConf('/tmp/x.conf', [server('/etc/a.conf')]), ['/tmp/x.conf']);
  });

  test('that of each ocserv that says which it uses', () => {
    assert.deepEqual(findOcservConf(undefined, [server('/a'), server('/b'), server('/a'), server(null)]), [
      '/a',
      '/b',
    ]);
  });

  test("else what systemd's unit names", (t) => {
    const root = units(t, {
      [UNIT]: 'ExecStart=/usr/sbin/ocserv --foreground --config /etc/vpn/ocserv.conf',
    });
    assert.deepEqual(findOcservConf(undefined, [server(null)], root), ['/etc/vpn/ocserv.conf']);
  });

  test("else, by an administrator's drop-in", (t) => {
    const root = units(t, {
      [UNIT]: 'ExecStart=/usr/sbin/ocserv --foreground --config /etc/vpn/ocserv.conf',
      'etc/systemd/system/ocserv.service.d/override.conf':
        'ExecStart=\nExecStart=/usr/sbin/ocserv -f -c /srv/o.conf',
    });
    assert.deepEqual(findOcservConf(undefined, [], root), ['/srv/o.conf']);
  });

  test('else, by the last drop-in by its name, whichever folder holds it', (t) => {
    const root = units(t, {
      [UNIT]: 'ExecStart=/usr/sbin/ocserv -f -c /etc/vpn/ocserv.conf',
      'lib/systemd/system/ocserv.service.d/10-vendor.conf':
        'ExecStart=\nExecStart=/usr/sbin/ocserv -c /vendor.conf',
      'etc/systemd/system/ocserv.service.d/override.conf':
        'ExecStart=\nExecStart=/usr/sbin/ocserv -c /admin.conf',
    });
    assert.deepEqual(findOcservConf(undefined, [], root), ['/admin.conf']);
  });

  test("else, by an administrator's drop-in in the place of the vendor's of that name", (t) => {
    const root = units(t, {
      [UNIT]: 'ExecStart=/usr/sbin/ocserv -f -c /etc/vpn/ocserv.conf',
      'etc/systemd/system/ocserv.service.d/10-vendor.conf': '',
      'lib/systemd/system/ocserv.service.d/10-vendor.conf':
        'ExecStart=\nExecStart=/usr/sbin/ocserv -c /vendor.conf',
      'lib/systemd/system/ocserv.service.d/README': 'ExecStart=\nExecStart=/usr/sbin/ocserv -c /readme.conf',
    });
    assert.deepEqual(findOcservConf(undefined, [], root), ['/etc/vpn/ocserv.conf']);
  });

  test('else where it is by default', (t) => {
    assert.deepEqual(findOcservConf(undefined, [], scratch(t)), ['/etc/ocserv/ocserv.conf']);
  });
});

describe("ocserv's arguments name its configuration", () => {
  for (const [args, file] of [
    [['ocserv', '-c', '/a.conf'], '/a.conf'],
    [['ocserv', '-c/a.conf'], '/a.conf'],
    [['ocserv', '--config', '/a.conf', '-f'], '/a.conf'],
    [['ocserv', '--config=/a.conf'], '/a.conf'],
    [['ocserv', '-f', '-c', 'a.conf'], '/srv/a.conf'],
    [['ocserv', '-fc', '/a.conf'], '/a.conf'],
    [['ocserv', '--conf', '/a.conf'], '/a.conf'],
    [['ocserv', '-c', '/a.conf', '--config', '/b.conf'], '/b.conf'],
    [['ocserv', '-f'], null],
    [['ocserv', '-c'], null],
    // Debian's wipes them out.
    [['ocserv                '], null],
  ] as const) {
    test(`${args.join(' ')}: ${file}`, () => assert.equal(configNamed(args, '/srv'), file));
  }
});
