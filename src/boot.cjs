'use strict';
/**
 * Loads the program's chunks with V8's code cache. A hook lives for 30 ms, so half its life would be compiling; the
 * cache holds what a real run needed (scripts/code-cache.ts). A cache that is missing, of another runtime or under
 * other flags is rejected by V8 and only costs time. V8 compares a source by its length alone, so the build's id is part of
 * the cache's name: an old cache never meets a new source.
 */
// A denial until a decision says otherwise: an event loop that empties, a promise that never settles, or a chunk that a power cut has left
// empty would end with 0, and let everybody in.
process.exitCode = 1;
process.umask(0o077);

const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

const loaded = new Map();

function load(name) {
  if (!name.startsWith('./')) return require(name);
  const known = loaded.get(name);
  if (known !== undefined) return known.exports;
  const filename = `${__dirname}/${name.slice(2)}`;
  const module = { exports: {} };
  loaded.set(name, module);
  // Not by `require`, which first looks for a package.json that could say what kind of module that is.
  if (name.endsWith('.node')) process.dlopen(module, filename);
  else run(filename, module);
  return module.exports;
}

function run(filename, module) {
  // Built as one function, in pure ASCII (scripts/build.ts): one byte a character, nothing to decode.
  const source = readFileSync(filename, 'latin1');
  const script = new Script(source, { filename, cachedData: readCache(filename) });
  script.runInThisContext()(module.exports, load, module, __dirname);
}

function readCache(filename) {
  try {
    return readFileSync(`${filename}.@BUILD_ID@.cache`);
  } catch {
    return undefined;
  }
}

load('./main.cjs');
