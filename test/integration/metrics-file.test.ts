import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { readExposition } from '../unit/exposition.ts';
import type { Agent } from './agent.ts';
import { withPortal } from './fixture.ts';
import { documentOf, seriesInText, seriesOf } from './metrics.ts';
import { fill, MOUNTS, mountTmpfs } from './mounts.ts';

const OLD = '# HELP old what was there\n# TYPE old gauge\nold 1\n';

/** A folder as node_exporter reads it, and the file in it. */
function textfiles(agent: Agent): { folder: string; file: string } {
  const folder = join(agent.folder, 'textfiles');
  mkdirSync(folder);
  return { folder, file: join(folder, 'ocagent-hook.prom') };
}

/** It must end with 1, say which file and why, and print nothing. */
async function refused(agent: Agent, file: string, why: RegExp): Promise<void> {
  const { code, stdout, stderr } = await agent.command('metrics', 'show', '--output', file);
  assert.deepEqual([code, stdout], [1, ''], stderr);
  assert.ok(stderr.startsWith(`ocagent-hook: ${file} cannot be written: `), stderr);
  assert.match(stderr, why);
  assert.match(stderr, /; see its folder, and the free space there\n$/);
  assert.equal(stderr.trimEnd().split('\n').length, 1, 'one line, without a stack');
}

describe('metrics show', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('prints Prometheus’ text format unless told otherwise', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const plain = await agent.command('metrics', 'show');
    assert.deepEqual([plain.code, plain.stderr], [0, '']);
    assert.ok(readExposition(plain.stdout).length > 20);
    const named = await agent.command('metrics', 'show', '--format', 'prometheus');
    const series = (text: string) => [...seriesInText(text).keys()].sort();
    assert.deepEqual(series(named.stdout), series(plain.stdout));
    assert.equal(seriesInText(plain.stdout).get('ocserv_sessions_active'), 1);
  });

  test('prints one JSON document with --format json, and with --json', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const document = await documentOf(agent);
    assert.deepEqual(Object.keys(document), ['instance_id', 'version', 'created_at', 'time', 'metrics']);
    for (const time of [document.created_at, document.time]) {
      assert.equal(new Date(time).toISOString(), time);
    }
    for (const args of [['--json'], ['--json', '--format', 'prometheus']]) {
      const { code, stdout } = await agent.command('metrics', 'show', ...args);
      assert.equal(code, 0);
      const { time, ...rest } = JSON.parse(stdout) as typeof document;
      const { instance_id, version, created_at } = document;
      assert.ok(time >= document.time);
      assert.partialDeepStrictEqual(rest, { instance_id, version, created_at });
    }
    await seriesOf(agent);
  });

  test('does not know another format, which is wrong use', async () => {
    await using agent = await fixture.install();
    const { code, stdout, stderr } = await agent.command('metrics', 'show', '--format', 'xml');
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /xml.*prometheus.*json/s);
  });

  test('invents nothing where there is no state yet, and makes none', async () => {
    await using agent = await fixture.install();
    const { code, stdout, stderr } = await agent.command('metrics', 'show');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /there is nothing to show yet: the first hook, or ocagent-hook maintain, makes/);
    assert.deepEqual(readdirSync(dirname(agent.state)), []);
  });
});

describe('a metrics file', () => {
  const fixture = withPortal({ default: { allowed: true } });

  /** With a state, which a hook makes. */
  const install = async (): Promise<Agent> => {
    const agent = await fixture.install();
    await agent.command('breaker', 'reset');
    return agent;
  };

  test('has what would have been printed, and anybody can read it', async () => {
    await using agent = await install();
    await agent.connect('alice');
    const { folder, file } = textfiles(agent);
    const { code, stdout, stderr } = await agent.command('metrics', 'show', '--output', file);
    assert.deepEqual([code, stdout, stderr], [0, '', '']);
    assert.equal(seriesInText(readFileSync(file, 'utf8')).get('ocserv_sessions_active'), 1);
    assert.equal(statSync(file).mode & 0o7777, 0o644);
    assert.deepEqual(readdirSync(folder), ['ocagent-hook.prom']);
    const json = await agent.command('metrics', 'show', '--json', '--output', file);
    assert.deepEqual([json.code, json.stdout], [0, '']);
    assert.equal(JSON.parse(readFileSync(file, 'utf8')).metrics.length > 20, true);
  });

  test('is replaced as a whole: who reads it again and again never sees a part, nor finds it missing', async () => {
    await using agent = await install();
    await agent.connect('alice');
    const { folder, file } = textfiles(agent);
    assert.equal((await agent.command('metrics', 'show', '--output', file)).code, 0);
    const names = new Set(readExposition(readFileSync(file, 'utf8')).map(({ name }) => name));
    const writes = { left: 2, done: 0 };
    const writer = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) {
        assert.equal((await agent.command('metrics', 'show', '--output', file)).code, 0);
        writes.done += 1;
      }
      writes.left -= 1;
    };
    const writers = Promise.all([writer(), writer()]);
    const texts = new Set<string>();
    const touched = new Set<string>();
    const watcher = watch(folder, (_event, name) => touched.add(String(name)));
    let reads = 0;
    while (writes.left > 0) {
      const text = readFileSync(file, 'utf8');
      reads += 1;
      if (!texts.has(text)) {
        texts.add(text);
        assert.deepEqual(new Set(readExposition(text).map(({ name }) => name)), names);
      }
      await setImmediate();
    }
    watcher.close();
    await writers;
    assert.equal(writes.done, 20);
    assert.ok(texts.size > 5 && reads > 100, `${texts.size} texts in ${reads} reads`);
    assert.deepEqual(readdirSync(folder), ['ocagent-hook.prom']);
    const read = [...touched].filter((name) => name.endsWith('.prom'));
    assert.deepEqual(read, ['ocagent-hook.prom'], 'node_exporter reads all that end so');
    assert.ok(touched.size > 1, 'something was written beside it');
  });

  test('is not begun where its folder is missing, or is none', async () => {
    await using agent = await install();
    const { folder, file } = textfiles(agent);
    await refused(agent, join(folder, 'nowhere', 'a.prom'), /ENOENT/);
    writeFileSync(file, OLD);
    await refused(agent, join(file, 'a.prom'), /ENOTDIR/);
    assert.equal(readFileSync(file, 'utf8'), OLD);
  });

  test('does not take the place of a folder', async () => {
    await using agent = await install();
    const { folder, file } = textfiles(agent);
    mkdirSync(file);
    await refused(agent, file, /it is no regular file/);
    assert.deepEqual(readdirSync(folder, { recursive: true }), ['ocagent-hook.prom']);
  });

  test('takes the place neither of a symbolic link nor of what that leads to', async () => {
    await using agent = await install();
    const { file } = textfiles(agent);
    const precious = join(agent.folder, 'precious');
    writeFileSync(precious, OLD, { mode: 0o600 });
    symlinkSync(precious, file);
    await refused(agent, file, /it is a symbolic link/);
    assert.equal(readFileSync(precious, 'utf8'), OLD);
    assert.equal(statSync(precious).mode & 0o777, 0o600);
    assert.equal(readFileSync(file, 'utf8'), OLD);
  });

  test('takes the place of no device', MOUNTS, async () => {
    await using agent = await install();
    const { file } = textfiles(agent);
    execFileSync('mknod', [file, 'c', '1', '3']);
    await refused(agent, file, /it is no regular file/);
    assert.ok(statSync(file).isCharacterDevice());
  });

  test('goes through a link that leads to its folder', async () => {
    await using agent = await install();
    const { folder } = textfiles(agent);
    symlinkSync(folder, join(agent.folder, 'link'));
    const file = join(agent.folder, 'link', 'a.prom');
    assert.equal((await agent.command('metrics', 'show', '--output', file)).code, 0);
    assert.deepEqual(readdirSync(folder), ['a.prom']);
  });

  test('stays as it was when the disk is full, with nothing left beside it', MOUNTS, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ocagent-full-'));
    try {
      await using agent = await install();
      await using _mount = mountTmpfs(folder);
      const file = join(folder, 'a.prom');
      writeFileSync(file, OLD);
      fill(folder);
      await refused(agent, file, /ENOSPC/);
      assert.equal(readFileSync(file, 'utf8'), OLD);
      assert.deepEqual(readdirSync(folder).sort(), ['a.prom', 'fill']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('stays as it was where its folder can only be read', MOUNTS, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ocagent-read-only-'));
    try {
      await using agent = await install();
      await using mount = mountTmpfs(folder);
      const file = join(folder, 'a.prom');
      writeFileSync(file, OLD);
      mount.readOnly();
      await refused(agent, file, /EROFS/);
      assert.equal(readFileSync(file, 'utf8'), OLD);
      assert.deepEqual(readdirSync(folder), ['a.prom']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('cannot be written where the state cannot be read, and stays as it was', async () => {
    await using agent = await install();
    await agent.connect('alice');
    const { file } = textfiles(agent);
    writeFileSync(file, OLD);
    chmodSync(agent.state, 0o666);
    const { code, stdout, stderr } = await agent.command('metrics', 'show', '--output', file);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /can be written by others/);
    assert.equal(readFileSync(file, 'utf8'), OLD);
  });
});
