import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ConfigError, loadConfig, UnreadableConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { scratch } from './fixture.ts';

const PORTAL = '[portal]\naddress = "portal.example.net:9091"\n';

function load(t: TestContext, source: string): Promise<Config> {
  const file = join(scratch(t), 'config.toml');
  writeFileSync(file, source, { mode: 0o640 });
  return loadConfig(file);
}

/** Every problem, without the file's path. */
async function problemsOf(t: TestContext, source: string): Promise<string[]> {
  const error = await load(t, source).then(
    () => assert.fail('it was accepted'),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof ConfigError, String(error));
  return error.problems.map((problem) => problem.replace(/^.*?config\.toml:?/, ''));
}

async function onlyProblem(t: TestContext, source: string): Promise<string> {
  const [problem, ...others] = await problemsOf(t, source);
  assert.deepEqual(others, []);
  return problem ?? '';
}

describe('a configuration', () => {
  test("needs nothing but the portal's address; everything else has its default", async (t) => {
    const config = await load(t, PORTAL);
    assert.deepEqual(config.portal.address, [{ host: 'portal.example.net', port: 9091 }]);
    assert.equal(config.resilience.fail_mode, 'stale');
    assert.equal(config.resilience.cache.ttl, 300_000);
    assert.equal(config.hook.deadline, 8_000);
  });

  test('has the values of the file, tables inside tables and durations as milliseconds', async (t) => {
    const config = await load(
      t,
      `${PORTAL}timeout = "1s500ms"
      [resilience]
      emergency_users = ["root", "Jörg"]
      cache.max_size = 7
      [resilience.circuit_breaker]
      failure_threshold = 9
      [telemetry]
      headers = { authorization = "Bearer x" }`,
    );
    assert.equal(config.portal.timeout, 1_500);
    assert.deepEqual(config.resilience.emergency_users, ['root', 'Jörg']);
    assert.equal(config.resilience.cache.max_size, 7);
    assert.equal(config.resilience.circuit_breaker.failure_threshold, 9);
    assert.deepEqual({ ...config.telemetry.headers }, { authorization: 'Bearer x' });
  });

  test('names one portal or several, by name, IPv4 or bracketed IPv6', async (t) => {
    const { portal } = await load(
      t,
      '[portal]\naddress = ["a-1.example:1", "192.0.2.1:65535", "[2001:db8::1]:9091"]',
    );
    assert.deepEqual(portal.address, [
      { host: 'a-1.example', port: 1 },
      { host: '192.0.2.1', port: 65_535 },
      { host: '2001:db8::1', port: 9_091 },
    ]);
    for (const bad of [
      '""',
      '"portal"',
      '"portal:"',
      '":9091"',
      '"portal:0"',
      '"portal:65536"',
      '"::1:9091"',
      '[]',
    ])
      assert.match(
        await onlyProblem(t, `[portal]\naddress = ${bad}`),
        /^2: portal\.address: cannot use/,
        bad,
      );
    for (const bad of ['"https://portal:9091"', '"portal:9091/x"', '["a:1", "b"]', '9091', '"a:1 "'])
      assert.match(
        await onlyProblem(t, `[portal]\naddress = ${bad}`),
        /^2: portal\.address: cannot use/,
        bad,
      );
  });
});

describe('what is wrong with it', () => {
  test('is all told at once, each with its line and what is accepted', async (t) => {
    const problems = await problemsOf(
      t,
      `agent_id = 5
[portal]
address = "portal"
timeout = "soon"

[resilience]
fail_mode = "maybe"
cache = { ttl = "5", max_size = 0 }
[hook]
deadline = "1h"
`,
    );
    assert.deepEqual(problems, [
      '1: agent_id: cannot use 5; accepted: a string',
      '3: portal.address: cannot use "portal"; accepted: "host:port", "[ipv6]:port", or a list of them',
      '4: portal.timeout: cannot use "soon"; accepted: a duration from "100ms" to "5m", such as "300ms", "30s", "1h30m"',
      '7: resilience.fail_mode: cannot use "maybe"; accepted: "open", "close", "stale"',
      '8: resilience.cache.ttl: cannot use "5"; accepted: a duration from "0s" to "30d", such as "300ms", "30s", "1h30m"',
      '8: resilience.cache.max_size: cannot use 0; accepted: a whole number from 1 to 10000000',
      '10: hook.deadline: cannot use "1h"; accepted: a duration from "1s" to "5m", such as "300ms", "30s", "1h30m"',
    ]);
  });

  test('is an unknown key, of which the nearest known one is named with its path', async (t) => {
    assert.deepEqual(
      await problemsOf(t, `agentid = "x"\n${PORTAL}[resilience.cache]\nstale_tll = "1h"\nTTL = "1m"`),
      [
        '1: unknown key agentid; did you mean agent_id?',
        '5: unknown key resilience.cache.stale_tll; did you mean resilience.cache.stale_ttl?',
        '6: unknown key resilience.cache.TTL; did you mean resilience.cache.ttl?',
      ],
    );
  });

  test('is an unknown key like no other, and then all that are known there are named', async (t) => {
    const problem = await onlyProblem(t, `${PORTAL}[log]\nwhatever = 1`);
    assert.equal(problem, '4: unknown key log.whatever; known here: level, format, file');
  });

  test('is a key in the wrong table, also one that every object of JavaScript has', async (t) => {
    assert.match(await onlyProblem(t, `${PORTAL}toString = 1`), /^3: unknown key portal\.toString/);
    assert.match(await onlyProblem(t, `${PORTAL}__proto__ = 1`), /^3: unknown key portal\.__proto__/);
    assert.match(await onlyProblem(t, `ttl = "1m"\n${PORTAL}`), /^1: unknown key ttl/);
  });

  test('is the missing address: told where its table is', async (t) => {
    assert.match(
      await onlyProblem(t, '\n[portal]\n'),
      /^2: portal\.address is missing; accepted: "host:port"/,
    );
    assert.match(await onlyProblem(t, '[portal]\n[portal.tls]\n'), /^1: portal\.address is missing/);
    assert.match(await onlyProblem(t, ''), /portal\.address is missing/);
  });

  test('is a value where a table belongs', async (t) => {
    assert.match(await onlyProblem(t, `log = "debug"\n${PORTAL}`), /^1: log is a table, not a value/);
  });

  test('is not TOML, told with line and column', async (t) => {
    assert.match(await onlyProblem(t, 'agent_id = \n'), /^1:12: not valid TOML: /);
    assert.match(await onlyProblem(t, '[log]\nlevel = "a"\nlevel = "b"\n'), /^3:\d+: not valid TOML: /);
  });

  test('never shows the value of a header, which can be a credential', async (t) => {
    const problems = await problemsOf(t, `${PORTAL}[telemetry]\nheaders = { a = "geheim", b = 5 }`);
    assert.match(
      problems.join(),
      /telemetry\.headers: cannot use what is given; accepted: a table of HTTP headers/,
    );
    assert.doesNotMatch(problems.join(), /geheim/);
  });
});

describe('values that contradict each other', () => {
  const table: [string, string, RegExp][] = [
    [
      'a call that outlasts the deadline',
      '[hook]\ndeadline = "3s"',
      /^1: portal\.timeout must be below hook\.deadline/,
    ],
    [
      'a stale_ttl below ttl',
      '[resilience.cache]\nstale_ttl = "1m"',
      /^4: .*stale_ttl must be at least .*ttl/,
    ],
    [
      'a retry_max below retry_initial',
      '[events]\nretry_initial = "10m"',
      /events\.retry_max must be at least/,
    ],
    [
      'a relative path',
      '[state]\npath = "state.db"',
      /^4: state\.path must be an absolute path, not "state\.db"/,
    ],
    ['no path at all', '[state]\npath = ""', /^4: state\.path must be an absolute path/],
    ['a log file without its folder', '[log]\nfile = "x.log"', /^4: log\.file must be an absolute path/],
    [
      'half of a certificate',
      '[portal.tls]\nkey_file = ""',
      /cert_file and portal\.tls\.key_file go together/,
    ],
    ['a portal in the clear', '[portal.tls]\nenabled = false', /^4: portal\.tls\.enabled = false would send/],
  ];
  for (const [what, more, expected] of table) {
    test(`are refused: ${what}`, async (t) => {
      assert.match(await onlyProblem(t, `${PORTAL}${more}\n`), expected);
    });
  }

  test('do not: a portal in the clear on this very machine, or where it is said to be meant', async (t) => {
    const tls = '[portal.tls]\nenabled = false\n';
    for (const address of ['127.0.0.1:1', 'localhost:1', '[::1]:1', '127.9.9.9:1']) {
      await load(t, `[portal]\naddress = "${address}"\n${tls}`);
    }
    await load(t, `${PORTAL}${tls}insecure = true`);
    assert.match(await onlyProblem(t, `[portal]\naddress = ["[::1]:1", "a:1"]\n${tls}`), /would send/);
  });

  test('do not: a deny_ttl over stale_ttl, and a stale_ttl that equals ttl', async (t) => {
    await load(t, `${PORTAL}[resilience.cache]\ndeny_ttl = "2h"\nttl = "30m"`);
  });
});

test('a file that is not there is told apart from one that is wrong', async (t) => {
  await assert.rejects(loadConfig(join(scratch(t), 'none.toml')), (error) => {
    assert.ok(error instanceof UnreadableConfig);
    assert.match(error.message, /none\.toml: there is no such file; .*config init/);
    return true;
  });
});
