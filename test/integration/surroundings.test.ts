import assert from 'node:assert/strict';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LAUNCHER } from './agent.ts';
import { Collector } from './collector.ts';
import { withPortal } from './fixture.ts';

const ROOT = join(LAUNCHER, '..', '..');
/** Among the runtime's strings, but constants, and what only concerns its build. */
const NO_VARIABLE =
  /^NODE_(?:PERFORMANCE|BINDING|BUILTIN|SOCKET|HANDLE|CLUSTER$|DEBUG_ENABLED|MODULE_VERSION|SEA_BLOB|USE_V8_PLATFORM|OPENSSL_CONF_NAME|RUN_SCRIPT_NODE)|^OPENSSL_(?:EC|VERSION)/;

const ALICE = { REASON: 'connect', USERNAME: 'alice', IP_REAL: '198.51.100.7', ID: '1' } as const;

describe('the launcher', () => {
  const fixture = withPortal({ users: { alice: { allowed: true } } });

  test('works through /bin/sh whatever its first line says, as ocserv-fw calls it', async () => {
    await using agent = await fixture.install();
    const run = await agent.hook({ ...ALICE, OCSERV_RESTRICT_TO_ROUTES: '1' }, ['/bin/sh', LAUNCHER]);
    assert.equal(run.code, 0, run.stderr);
  });

  test('works through symbolic links, relative ones too', async () => {
    await using agent = await fixture.install();
    symlinkSync(LAUNCHER, join(agent.folder, 'absolute'));
    symlinkSync('absolute', join(agent.folder, 'relative'));
    const run = await agent.hook(ALICE, [join(agent.folder, 'relative')]);
    assert.equal(run.code, 0, run.stderr);
  });

  test('works with a closed stdin, with stray descriptors, and under the umask 0066', async () => {
    await using agent = await fixture.install();
    const run = await agent.hook(ALICE, [
      '/bin/sh',
      '-c',
      `umask 0066; exec ${LAUNCHER} <&- 4</dev/null 5>/dev/null`,
    ]);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(statSync(agent.state).mode & 0o777, 0o600);
  });

  test('keeps what the surroundings set for other programs from the hook', async () => {
    await using agent = await fixture.install();
    const evil = join(agent.folder, 'evil.cjs');
    writeFileSync(evil, 'process.stderr.write("loaded\\n"); process.exit(0);');
    const run = await agent.hook({
      ...ALICE,
      NODE_OPTIONS: `--require ${evil}`,
      NODE_EXTRA_CA_CERTS: '/nonexistent',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      NODE_DEBUG: 'net,tls',
      GRPC_VERBOSITY: 'DEBUG',
      GRPC_TRACE: 'all',
      SSL_CERT_FILE: '/nonexistent',
      OPENSSL_CONF: evil,
      https_proxy: 'http://127.0.0.1:1',
      grpc_proxy: 'http://127.0.0.1:1',
      HTTPS_PROXY: 'http://127.0.0.1:1',
      ODD: "x'\nexport NODE_OPTIONS=--version\nexport A;B=1",
    });
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.decision?.['source'], 'portal');
    assert.equal(run.log.length, 1, run.stderr);
  });

  test('drops every variable that the runtime reads: those that its file names', () => {
    const runtime = readFileSync(realpathSync(join(ROOT, 'node_modules', '.bin', 'node')), 'latin1');
    const [, list = ''] = /^unset ((?:.*\\\n)*.*)$/m.exec(readFileSync(LAUNCHER, 'utf8')) ?? [];
    const dropped = new Set(list.match(/\w+/g));
    // As JavaScript reads them, or whole strings as C does.
    const found = runtime.matchAll(/(?<=\0|\benv\.)(?:NODE|OPENSSL)_[A-Z0-9_]+(?![A-Za-z0-9_])/g);
    const names = new Set([...found].map(([name]) => name));
    for (const name of names) if (NO_VARIABLE.test(name)) names.delete(name);
    assert.ok(names.size > 20, [...names].join());
    assert.deepEqual([...names].filter((name) => !dropped.has(name)).sort(), []);
  });

  test('passes hostile values on as they are', async () => {
    await using agent = await fixture.install();
    for (const name of [
      '$(touch /tmp/pwned)',
      '`id`',
      'a\'b"c',
      ' lead and trail ',
      '-rf',
      'a;b|c&d>e',
      '../../etc',
      '*',
    ]) {
      const run = await agent.hook({ ...ALICE, USERNAME: name });
      assert.equal(run.decision?.['username'], name);
    }
  });

  test('called by a person without arguments shows the help and ends with 2', async () => {
    await using agent = await fixture.install();
    const run = await agent.hook({}, [LAUNCHER]);
    assert.equal(run.code, 2);
    assert.equal(run.stdout, '');
    assert.match(run.stderr, /connect-script = /);
  });
});

describe("V8's code cache", () => {
  const fixture = withPortal({ users: { alice: { allowed: true } } });

  const copyOfProgram = (folder: string): string => {
    mkdirSync(join(folder, 'bin'));
    copyFileSync(LAUNCHER, join(folder, 'bin', 'ocagent-hook'));
    cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    return folder;
  };

  test('was made by the build, for the way to the portal, for the drain and its export, too', () => {
    const caches = readdirSync(join(ROOT, 'dist')).filter((name) => name.endsWith('.cache'));
    const chunks = ['drain', 'main', 'otlp', 'portal'];
    assert.deepEqual(caches.map((name) => name.split('.')[0]).sort(), chunks);
  });

  test('is taken by V8 under the launcher’s flags, each chunk’s of it', async () => {
    await using agent = await fixture.install();
    const copy = copyOfProgram(agent.folder);
    const seen = join(agent.folder, 'seen');
    const spy = join(agent.folder, 'spy.cjs');
    writeFileSync(
      spy,
      `const vm = require('node:vm');
       vm.Script = class extends vm.Script {
         constructor(source, options) {
           super(source, options);
           const chunk = require('node:path').basename(options.filename);
           require('node:fs').appendFileSync(${JSON.stringify(seen)}, chunk + ' ' + this.cachedDataRejected + '\\n');
         }
       };`,
    );
    rmSync(join(copy, 'node_modules'));
    mkdirSync(join(copy, 'node_modules', '.bin'), { recursive: true });
    const node = join(copy, 'node_modules', '.bin', 'node');
    writeFileSync(node, `#!/bin/sh\nexec ${process.execPath} --require ${spy} "$@"\n`, { mode: 0o755 });
    for (const source of ['portal', 'cache']) {
      const run = await agent.hook(ALICE, [join(copy, 'bin', 'ocagent-hook')]);
      assert.equal(run.decision?.['source'], source, run.stderr);
    }
    assert.equal(readFileSync(seen, 'utf8'), 'main.cjs false\nportal.cjs false\nmain.cjs false\n');
    await using collector = await Collector.start();
    writeFileSync(agent.configFile, `\n[telemetry]\nendpoint = "${collector.endpoint}"\n`, { flag: 'a' });
    rmSync(seen);
    const drain = await agent.hook({}, [join(copy, 'bin', 'ocagent-hook'), 'drain']);
    assert.equal(drain.code, 0, drain.stderr);
    const chunks = ['drain', 'main', 'otlp', 'portal'].map((chunk) => `${chunk}.cjs false`);
    assert.deepEqual(readFileSync(seen, 'utf8').split('\n').filter(Boolean).sort(), chunks);
  });

  test('is not needed: without it, or with one that V8 rejects, the hook answers all the same', async () => {
    await using agent = await fixture.install();
    const copy = copyOfProgram(agent.folder);
    const caches = readdirSync(join(copy, 'dist')).filter((name) => name.endsWith('.cache'));
    for (const name of caches) writeFileSync(join(copy, 'dist', name), 'of another runtime');
    const rejected = await agent.hook(ALICE, [join(copy, 'bin', 'ocagent-hook')]);
    assert.equal(rejected.decision?.['source'], 'portal', rejected.stderr);
    for (const name of caches) rmSync(join(copy, 'dist', name));
    const missing = await agent.hook(ALICE, [join(copy, 'bin', 'ocagent-hook')]);
    assert.equal(missing.decision?.['source'], 'cache', missing.stderr);
  });

  test('and everything else missing denies: an installation that was not built lets nobody in', async () => {
    await using agent = await fixture.install();
    const copy = copyOfProgram(agent.folder);
    rmSync(join(copy, 'dist'), { recursive: true });
    const run = await agent.hook(ALICE, [join(copy, 'bin', 'ocagent-hook')]);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /not built: run 'make build'/);
  });
});
