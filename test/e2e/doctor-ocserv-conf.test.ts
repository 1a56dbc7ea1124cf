import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serverFiles } from '../../scripts/vpn/server-config.ts';
import { startVpn } from '../../scripts/vpn/vpn.ts';
import { createWorkFolder, type WorkFolder } from '../../scripts/vpn/work-folder.ts';
import { parseOcservConf } from '../../src/doctor/ocserv-conf.ts';
import { noVpn } from './require-vpn.ts';

const limits = { skip: noVpn, timeout: 60_000 };

/** Which script a real ocserv ran for a client: `none` where he got in without one, `refused` where it could not be run. */
type Ran = 'a' | 'b' | 'none' | 'refused';

describe('ocserv.conf is read as a real ocserv reads it', () => {
  let folder: WorkFolder | undefined;
  before(async () => {
    if (noVpn !== false) return;
    folder = await createWorkFolder();
    for (const name of ['a', 'b']) {
      writeFileSync(join(folder.path, name), `#!/bin/sh\necho ${name} >>${folder.path}/ran\n`, {
        mode: 0o755,
      });
    }
  });
  after(() => folder?.remove());

  /** Another virtual host, written so that the harness does not take these lines for those of the main one. */
  const vhost = (path: string): string[] => {
    const { passwords, certificate, key } = serverFiles(path);
    return [
      '[vhost:other.example.net]',
      `auth : "plain[passwd=${passwords}]"`,
      `server-cert : ${certificate}`,
      `server-key : ${key}`,
      'ipv4-network : 10.210.0.0/16',
    ];
  };

  for (const [what, lines, ran] of [
    ['a plain line', (f) => [`connect-script = ${f}/a`], 'a'],
    ['quotes', (f) => [`connect-script = "${f}/a"`], 'a'],
    ['a colon', (f) => [`connect-script: ${f}/a`], 'a'],
    ['the last of two', (f) => [`connect-script = ${f}/a`, `connect-script = ${f}/b`], 'b'],
    ['a comment after a blank', (f) => [`connect-script = ${f}/a # the hook`], 'a'],
    ['a semicolon, which begins no comment there', (f) => [`connect-script = ${f}/a ; the hook`], 'refused'],
    ['a line that is commented out', (f) => [`#connect-script = ${f}/a`], 'none'],
    ['the same by a semicolon', (f) => [`;connect-script = ${f}/a`], 'none'],
    ['a line that begins with a blank: a further value', (f) => [`connect-script = ${f}/a`, `  ${f}/b`], 'b'],
    [
      'another option that begins with a blank',
      (f) => [`connect-script = ${f}/a`, '', `  disconnect-script = ${f}/b`],
      'refused',
    ],
    ['nothing', () => ['connect-script ='], 'refused'],
    ['empty quotes', () => ['connect-script = ""'], 'none'],
    ['a comment in the place of a value', (f) => [`connect-script = ${f}/a`, 'connect-script = # none'], 'a'],
    ['a name in capitals', (f) => [`Connect-Script = ${f}/a`], 'none'],
    ['a line in an unknown section', (f) => ['[scripts]', `connect-script = ${f}/a`], 'none'],
    ['a line in a virtual host', (f) => [...vhost(f), `connect-script = ${f}/a`], 'none'],
    [
      'a line in a virtual host besides the main one',
      (f) => [`connect-script = ${f}/a`, ...vhost(f), `connect-script = ${f}/b`],
      'a',
    ],
  ] as readonly (readonly [string, (folder: string) => string[], Ran])[]) {
    test(`${what}: ${ran}`, limits, async () => {
      const path = folder?.path ?? '';
      const log = join(path, 'ran');
      rmSync(log, { force: true });
      const vpn = await startVpn({ folder: path, scripts: {}, users: ['alice'], extra: lines(path) });
      try {
        const client = await vpn.connect('alice');
        const did = existsSync(log) ? readFileSync(log, 'utf8').trim() : 'none';
        assert.equal(client.connected ? did : 'refused', ran);
        const read = parseOcservConf(readFileSync(serverFiles(path).config, 'utf8'));
        const value = read.settings.get('connect-script')?.value;
        const ours =
          value === undefined ? 'none' : existsSync(value) ? value.slice(path.length + 1) : 'refused';
        assert.equal(ours, ran);
        assert.equal(read.unreadable, null);
      } finally {
        await vpn.stop();
        await vpn.close();
      }
    });
  }

  test('a line without "=": it does not start', limits, async () => {
    const path = folder?.path ?? '';
    await assert.rejects(
      startVpn({ folder: path, scripts: {}, users: ['alice'], extra: [`connect-script ${path}/a`] }),
      /config file error in line \d+/,
    );
    const { unreadable } = parseOcservConf(readFileSync(serverFiles(path).config, 'utf8'));
    assert.notEqual(unreadable, null);
  });
});
