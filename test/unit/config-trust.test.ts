import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ConfigError, loadConfig, UnreadableConfig } from '../../src/config/load.ts';
import { scratch } from './fixture.ts';

const asRoot = { skip: process.geteuid?.() !== 0 && 'only root can give a file away' };
const STRANGER = 54_321;

function good(t: TestContext): string {
  const file = join(scratch(t), 'config.toml');
  writeFileSync(file, '[portal]\naddress = "portal.example.net:9091"\n');
  chmodSync(file, 0o640);
  return file;
}

async function assertRefused(file: string, why: RegExp): Promise<void> {
  await assert.rejects(loadConfig(file), (error) => {
    assert.ok(error instanceof ConfigError && !(error instanceof UnreadableConfig), String(error));
    assert.equal(error.problems.length, 1);
    assert.match(error.message, why);
    return true;
  });
}

describe('who can write the configuration decides who gets in, so', () => {
  test('one that everybody can write is refused, with the cure', async (t) => {
    const file = good(t);
    for (const mode of [0o646, 0o666, 0o602]) {
      chmodSync(file, mode);
      await assertRefused(file, /can be written by others \(mode 06\d\d\); chmod 0640 it/);
    }
  });

  test('one that a foreign group can write is refused', asRoot, async (t) => {
    const file = good(t);
    chownSync(file, 0, STRANGER);
    await loadConfig(file);
    chmodSync(file, 0o660);
    await assertRefused(file, /can be written by others \(mode 0660\)/);
  });

  test(
    'one that belongs neither to root nor to this user is refused, whatever its mode',
    asRoot,
    async (t) => {
      const file = good(t);
      chmodSync(file, 0o600);
      chownSync(file, STRANGER, 0);
      await assertRefused(file, /is owned by uid 54321, not by root or uid 0; chown root it/);
    },
  );

  test('one that is no regular file is refused', async () => {
    await assert.rejects(loadConfig('/dev/null'), (error) => {
      assert.ok(error instanceof UnreadableConfig);
      assert.match(error.message, /it is not a regular file/);
      return true;
    });
  });

  test('a folder is refused', async (t) => {
    const folder = join(scratch(t), 'config.toml');
    mkdirSync(folder);
    await assert.rejects(loadConfig(folder), ConfigError);
  });

  test('one that everybody can read, and only root can write, is used', async (t) => {
    const file = good(t);
    for (const mode of [0o400, 0o600, 0o640, 0o644]) {
      chmodSync(file, mode);
      assert.ok(await loadConfig(file));
    }
  });
});
