import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { makeCertificates } from '../../scripts/portal/certificates.ts';
import { Signal } from '../../scripts/portal/signal.ts';
import { PortalAgent } from './portal-agent.ts';

const ROOT = resolve(import.meta.dirname, '../..');
mkdirSync(join(ROOT, 'build'), { recursive: true });
const scratch = mkdtempSync(join(ROOT, 'build/portal-command-test-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const certificates = await makeCertificates(join(scratch, 'certs'));

/** The command as a process, and what it has written so far. */
class PortalCommand {
  readonly child: ChildProcess;
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly #signal = new Signal();

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, [join(ROOT, 'scripts/portal/main.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = this.child[name];
      assert.ok(stream !== null);
      createInterface({ input: stream }).on('line', (line) => {
        this[name].push(line);
        this.#signal.changed();
      });
    }
  }

  /** The first line from the `from`th on that matches. */
  async line(name: 'stdout' | 'stderr', pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    const found = () =>
      this[name]
        .slice(from)
        .map((line) => pattern.exec(line))
        .find((match) => match !== null);
    await this.#signal.until(
      () => found() !== undefined,
      () => `${pattern} in:\n${this[name].join('\n')}`,
    );
    const match = found();
    assert.ok(match);
    return match;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }
}

describe('the portal as a command', () => {
  test('follows its policy file, keeps the old policy over a mistake, and goes down and comes back', async () => {
    const policy = join(scratch, 'policy.toml');
    writeFileSync(policy, '[users.alice]\n');
    await using portal = new PortalCommand(
      ...['--policy', policy, '--certs', certificates.directory, '--listen', '127.0.0.1:0', '--log'],
    );
    const address = (await portal.line('stderr', /listening on (\S+)/))[1] ?? '';
    using agent = new PortalAgent(address, certificates);
    assert.equal((await agent.check({ username: 'alice' }, { 'x-agent-id': 'vpn-1' })).allowed, true);
    const logged: unknown = JSON.parse((await portal.line('stdout', /^\{.*\}$/)).input);
    assert.partialDeepStrictEqual(logged, {
      rpc: 'CheckPolicy',
      username: 'alice',
      'x-agent-id': 'vpn-1',
      answer: { status: 'OK', response: { allowed: true } },
    });

    let seen = portal.stderr.length;
    writeFileSync(policy, '[users.alice]\nallowed = maybe\n');
    await portal.line('stderr', /the policy in force stays/, seen);
    assert.equal((await agent.check({ username: 'alice' })).allowed, true);

    seen = portal.stderr.length;
    // As editors and configuration tools do it: another file under the same name.
    writeFileSync(`${policy}.new`, '[users.alice]\nallowed = false\n');
    renameSync(`${policy}.new`, policy);
    await portal.line('stderr', /listening on/, seen);
    assert.equal((await agent.check({ username: 'alice' })).allowed, false);

    seen = portal.stderr.length;
    writeFileSync(policy, 'down = true\n');
    await portal.line('stderr', /portal: down/, seen);
    using refused = new PortalAgent(address, certificates);
    await assert.rejects(refused.check({ username: 'alice' }), /ECONNREFUSED/);

    seen = portal.stderr.length;
    writeFileSync(policy, 'down = false\n[users.alice]\n');
    assert.equal((await portal.line('stderr', /listening on (\S+)/, seen))[1], address);
    using back = new PortalAgent(address, certificates);
    assert.equal((await back.check({ username: 'alice' })).allowed, true);
  });

  test('says what is wrong with its arguments, its policy and its certificates', async () => {
    const policy = join(scratch, 'start.toml');
    writeFileSync(policy, '[users.alice]\nallowd = true\n');
    const cases: [string[], number, RegExp][] = [
      [[], 2, /--policy and --certs are needed/],
      [
        ['--policy', policy, '--certs', scratch, '--listen', '9091'],
        2,
        /--listen is "9091"; write host:port/,
      ],
      [
        ['--policy', policy, '--certs', certificates.directory, '--listen', '127.0.0.1:0'],
        2,
        /users\.alice\.allowd/,
      ],
      [['--policy', join(ROOT, 'scripts/portal/policy.toml'), '--certs', scratch], 1, /certificates\.ts/],
    ];
    for (const [args, exitCode, message] of cases) {
      await using portal = new PortalCommand(...args);
      await once(portal.child, 'close');
      assert.match(portal.stderr.join('\n'), message);
      assert.equal(portal.child.exitCode, exitCode);
    }
  });
});
