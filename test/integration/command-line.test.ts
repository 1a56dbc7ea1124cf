import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Agent } from './agent.ts';
import { withPortal } from './fixture.ts';

describe('the command line', () => {
  const fixture = withPortal({
    default: { allowed: false, reason: 'unknown user' },
    users: { alice: { allowed: true, routes: ['10.0.0.0/8'], dns_servers: ['10.0.0.53'] } },
  });

  const json = async <T = Record<string, unknown>>(agent: Agent, ...args: string[]): Promise<T> => {
    const run = await agent.command(...args, '--json');
    return JSON.parse(run.stdout) as T;
  };

  test('auth gives the decision of a connect, in the form of the contract, and begins no session', async () => {
    await using agent = await fixture.install();
    const run = await agent.command(
      'auth',
      '--user',
      'alice',
      '--client-ip',
      '198.51.100.7',
      '--group',
      'staff',
      '--json',
    );
    assert.equal(run.code, 0, run.stderr);
    const decision = JSON.parse(run.stdout) as Record<string, unknown>;
    assert.deepEqual(
      { ...decision, duration_ms: typeof decision['duration_ms'] },
      {
        allowed: true,
        source: 'portal',
        reason: '',
        username: 'alice',
        groupname: 'staff',
        client_ip: '198.51.100.7',
        cache: { state: 'miss', age_seconds: null },
        breaker: 'closed',
        fail_mode: 'stale',
        portal_error: null,
        routes: ['10.0.0.0/8'],
        dns_servers: ['10.0.0.53'],
        duration_ms: 'number',
      },
    );
    assert.deepEqual(Object.keys(decision).slice(0, 3), ['allowed', 'source', 'reason']);
    const [call] = fixture.portal.callsOf('CheckPolicy');
    assert.equal(call?.request.sessionId, '');
    assert.equal(call?.vhost, undefined, 'ocserv named no vhost');
    assert.deepEqual(agent.query('SELECT * FROM session'), []);
    const connect = await agent.connect('alice');
    assert.equal(connect.decision?.['source'], 'cache', 'a connect finds what auth was told');
  });

  test('auth --no-cache asks the portal though a fresh decision is kept, and still falls back to it', async () => {
    await using agent = await fixture.install();
    await agent.command('auth', '--user', 'alice');
    const asked = await json(agent, 'auth', '--user', 'alice', '--no-cache');
    assert.equal(asked['source'], 'portal');
    assert.deepEqual(asked['cache'], { state: 'bypass', age_seconds: null });
    await fixture.portal.stop();
    assert.equal((await json(agent, 'auth', '--user', 'alice', '--no-cache'))['source'], 'stale');
  });

  test('auth ends with 1 for a denial and 2 for wrong use', async () => {
    await using agent = await fixture.install();
    const denied = await agent.command('auth', '--user', 'bob');
    assert.equal(denied.code, 1);
    assert.match(denied.stdout, /^denied: bob, by portal: unknown user/);
    assert.equal((await agent.command('auth')).code, 2);
    assert.equal((await agent.command('auth', '--user', 'bob', '--nonsense')).code, 2);
    assert.equal((await agent.command('auth', '--user', 'bob', '--client-ip', 'here')).code, 1);
  });

  test('cache lists, shows and forgets, and says how it was used', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    await agent.connect('alice');
    await agent.connect('bob');
    const stats = await json(agent, 'cache', 'stats');
    assert.deepEqual(stats, {
      size: 2,
      fresh: 2,
      stale: 0,
      expired: 0,
      max_size: 10_000,
      hits_total: 1,
      misses_total: 2,
      stale_hits_total: 0,
    });
    const all = await json<{ username: string; state: string; answered_at: string }[]>(
      agent,
      'cache',
      'list',
    );
    assert.deepEqual(all.map(({ username }) => username).sort(), ['alice', 'bob']);
    assert.match(String(all[0]?.answered_at), /^\d{4}-\d\d-\d\dT.*Z$/);
    const [alice] = await json<{ username: string; allowed: boolean }[]>(
      agent,
      'cache',
      'list',
      '--user',
      'alice',
    );
    assert.equal(alice?.allowed, true);
    assert.equal((await agent.command('cache', 'show', '--user', 'alice')).code, 0);
    assert.equal((await agent.command('cache', 'show', '--user', 'nobody')).code, 1);
    assert.deepEqual(await json(agent, 'cache', 'invalidate', '--user', 'alice'), {
      username: 'alice',
      removed: 1,
    });
    assert.equal((await agent.connect('alice')).decision?.['source'], 'portal');
    assert.deepEqual(await json(agent, 'cache', 'cleanup'), { removed: 0 });
    assert.deepEqual(await json(agent, 'cache', 'clear'), { removed: 2 });
  });

  test('cache cleanup removes what is past its stale time and nothing else', async () => {
    await using agent = await fixture.install(
      '[resilience.cache]\nttl = "0s"\ndeny_ttl = "0s"\nstale_ttl = "0s"',
    );
    await agent.connect('alice');
    await agent.connect('bob');
    assert.deepEqual(await json(agent, 'cache', 'cleanup'), { removed: 2 });
  });

  test('an invalidation voids the answer that is on its way', async () => {
    await using agent = await fixture.install();
    const release = fixture.portal.hold('CheckPolicy');
    const pending = agent.connect('alice');
    await fixture.portal.arrived(1, 'CheckPolicy');
    await agent.command('cache', 'invalidate', '--user', 'alice');
    release();
    assert.equal((await pending).code, 0);
    assert.equal((await json(agent, 'cache', 'stats'))['size'], 0);
  });

  test('breaker trip sends connects to the fail mode, and reset brings the portal back', async () => {
    await using agent = await fixture.install();
    const tripped = await json(agent, 'breaker', 'trip');
    assert.equal(tripped['state'], 'open');
    assert.ok(Date.parse(String(tripped['retry_at'])) > Date.now());
    assert.equal((await agent.connect('alice')).decision?.['breaker'], 'open');
    assert.equal((await json(agent, 'breaker', 'reset'))['state'], 'closed');
    assert.equal((await agent.connect('alice')).code, 0);
  });

  test('status has every field that monitoring relies on', async () => {
    await using agent = await fixture.install();
    const fresh = await json(agent, 'status');
    assert.equal(existsSync(agent.state), false, 'looking makes no state');
    assert.equal((fresh['breaker'] as { state: string }).state, 'closed');
    await agent.connect('alice');
    const status = await json<Record<string, Record<string, unknown>>>(agent, 'status');
    for (const [part, fields] of Object.entries({
      breaker: ['state', 'failures', 'opened_at', 'retry_at'],
      cache: [
        'size',
        'fresh',
        'stale',
        'expired',
        'max_size',
        'hits_total',
        'misses_total',
        'stale_hits_total',
      ],
      events: ['pending', 'failed', 'oldest_pending_seconds'],
      sessions: ['active'],
      portal: ['last_success_at', 'last_error'],
      state: ['path', 'schema_version'],
    })) {
      for (const field of fields) assert.ok(field in (status[part] ?? {}), `${part}.${field}`);
    }
    assert.equal(status['sessions']?.['active'], 1);
    assert.match(String(status['portal']?.['last_success_at']), /Z$/);
    const text = await agent.command('status');
    assert.match(text.stdout, /breaker: +closed/);
    assert.ok(!text.stdout.includes('\u001b'), 'no colour but on a terminal');
  });

  test('status shouts that observe mode lets everybody in', async () => {
    await using agent = await fixture.install('[hook]\nmode = "observe"');
    assert.match((await agent.command('status')).stdout, /OBSERVE: everybody is let in/);
  });

  test('config check names every error with its line, config show masks secrets', async () => {
    await using agent = await fixture.install('[telemetry]\nheaders = { authorization = "Bearer s3cret" }');
    const shown = await agent.command('config', 'show');
    assert.equal(shown.code, 0);
    assert.match(shown.stdout, /authorization = "\*\*\*"/);
    assert.doesNotMatch(shown.stdout, /s3cret/);
    assert.equal((await agent.command('config', 'check')).code, 0);
    writeFileSync(agent.configFile, '[portal]\nadress = "x:1"\ntimeout = 3\n[log]\nlevel = "loud"\n');
    const check = await agent.command('config', 'check', '--json');
    assert.equal(check.code, 1);
    const { errors } = JSON.parse(check.stdout) as { errors: string[] };
    assert.equal(errors.length, 4);
    assert.match(
      errors.join('\n'),
      /config\.toml:2: unknown key portal\.adress; did you mean portal\.address\?/,
    );
    assert.match(errors.join('\n'), /config\.toml:3: portal\.timeout: cannot use 3; accepted: a duration/);
    assert.match(
      errors.join('\n'),
      /config\.toml:5: log\.level: cannot use "loud"; accepted: "debug", "info", "warn", "error"/,
    );
    assert.equal((await agent.command('status')).code, 2);
    chmodSync(agent.configFile, 0o666);
    assert.match((await agent.command('config', 'check')).stdout, /can be written by others/);
  });

  test('config init writes the documented example once, and leaves an existing one alone', async () => {
    await using agent = await fixture.install();
    const file = join(agent.folder, 'etc', 'new.toml');
    assert.equal((await agent.command('--config', file, 'config', 'init')).code, 0);
    assert.equal(readFileSync(file, 'utf8'), readFileSync('config.toml', 'utf8'));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const again = await agent.command('config', 'init', '--config', file);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /exists already/);
  });

  test('without a configuration every command ends with 2 and says how to get one', async () => {
    await using agent = await fixture.install();
    for (const args of [['status'], ['cache', 'stats'], ['config', 'check'], ['auth', '--user', 'a']]) {
      const run = await agent.command('--config', '/nonexistent.toml', ...args);
      assert.equal(run.code, 2, args.join(' '));
      assert.match(run.stderr, /config init/);
    }
  });

  test('help and version are for stdout, and end with 0', async () => {
    await using agent = await fixture.install();
    const version = await agent.command('--version');
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
    assert.match((await agent.command('auth', '--help')).stdout, /--no-cache/);
    assert.equal((await agent.command('brew')).code, 2);
  });
});
