import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { makeCodeCache } from './code-cache.ts';

/**
 * Builds dist/: one chunk for each way that a call can take, so that none pays for the others, and boot.cjs, which
 * loads them. It is put together aside and takes the old one's place by renaming, so that a build that fails changes nothing.
 * (Between the two renames a hook finds no program and denies: build elsewhere where one is in use.)
 */
const root = join(import.meta.dirname, '..');
const staging = join(root, 'build', 'dist');
const target = join(root, 'dist');

/** Loaded by an `import()` where they are needed; each is a file of its own. */
const CHUNKS: Readonly<Record<string, string>> = {
  main: 'src/main.ts',
  portal: 'src/portal/calls.ts',
  drain: 'src/drain/drain-process.ts',
  explain: 'src/config/explain.ts',
  otlp: 'src/telemetry/send.ts',
  prometheus: 'src/telemetry/prometheus.ts',
  cli: 'src/cli/program.ts',
};

/**
 * What a connect loads. Names in it are shortened: what is not read, nor deserialized, costs nothing (a fiftieth of an empty script). The map beside
 * each leads from a place in a stack trace to the source.
 */
const HOT = new Set(['main', 'portal']);

/** Turns `import('./calls.ts')` into a load of the chunk that holds it. */
const chunks: Plugin = {
  name: 'chunks',
  setup({ onResolve }) {
    const byFile = new Map(Object.entries(CHUNKS).map(([name, file]) => [basename(file), name]));
    onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ path, kind }) => {
      const name = kind === 'dynamic-import' ? byFile.get(basename(path)) : undefined;
      return name === undefined ? undefined : { path: `./${name}.cjs`, external: true };
    });
  },
};

/** The platform's own entry of better-sqlite3: its addon is copied beside the chunks, and nothing probes for it at run time. */
const addon: Plugin = {
  name: 'addon',
  setup({ onResolve }) {
    onResolve({ filter: /^better-sqlite3$/ }, ({ resolveDir }) => ({
      path: join(root, 'node_modules/better-sqlite3/lib', `linux-${process.arch}.js`),
      pluginData: { resolveDir },
    }));
    onResolve({ filter: /prebuilds\/.*\.node$/ }, () => ({ path: './better-sqlite3.node', external: true }));
  },
};

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node24',
  charset: 'ascii',
  legalComments: 'none',
  // As src/boot.cjs runs it: put around it there it would be copied once more.
  banner: { js: '(function (exports, require, module, __dirname) {' },
  footer: { js: '})' },
  minifySyntax: true,
  minifyWhitespace: true,
  // Without this an external import() would go through Node's ES module loader.
  supported: { 'dynamic-import': false },
  define: { 'process.env.OCAGENT_VERSION': JSON.stringify(version) },
  plugins: [chunks, addon],
  logLevel: 'warning',
};

rmSync(staging, { recursive: true, force: true });
mkdirSync(staging, { recursive: true });
for (const [name, file] of Object.entries(CHUNKS)) {
  await build({
    ...common,
    entryPoints: [join(root, file)],
    outfile: join(staging, `${name}.cjs`),
    ...(HOT.has(name) ? { minifyIdentifiers: true, sourcemap: 'external' as const } : {}),
  });
}
copyFileSync(
  join(root, `node_modules/better-sqlite3/prebuilds/linux-${process.arch}.node`),
  join(staging, 'better-sqlite3.node'),
);
copyFileSync(join(root, 'config.toml'), join(staging, 'config.toml'));

const hash = createHash('sha256');
for (const name of Object.keys(CHUNKS)) hash.update(readFileSync(join(staging, `${name}.cjs`)));
const buildId = hash.digest('hex').slice(0, 12);
const boot = readFileSync(join(root, 'src/boot.cjs'), 'utf8').replace('@BUILD_ID@', buildId);
// One block, so that no beginning of it is a program: what a power cut may leave of it would end with 0, and let everybody in.
writeFileSync(join(staging, 'boot.cjs'), `{\n${boot}}\n`);
await makeCodeCache(staging, buildId, join(root, 'build', 'code-cache'));

const old = join(root, 'build', 'dist-old');
rmSync(old, { recursive: true, force: true });
if (existsSync(target)) renameSync(target, old);
renameSync(staging, target);
rmSync(old, { recursive: true, force: true });
