'use strict';
/**
 * Preloaded by scripts/code-cache.ts into a real run of the program: at its end, writes V8's code cache of every chunk
 * that boot.cjs loaded, with the functions that this run compiled.
 */
const { writeFileSync } = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');

const scripts = [];

/**
 * V8 puts the flags of the moment into a cache and rejects it under others, and a run that asks the portal, or is a drain, sets some on its way
 * (src/portal/load.ts, src/drain/compiling.ts): each chunk is kept under those that it was loaded under.
 */
const set = [];
const { setFlagsFromString } = v8;
v8.setFlagsFromString = (flag) => {
  setFlagsFromString(flag);
  set.push(flag);
};

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    scripts.push({ script: this, filename: options.filename, after: set.length });
  }
};

function keep(after) {
  for (const { script, filename } of scripts.filter((one) => one.after === after)) {
    writeFileSync(`${filename}.${process.env.CODE_CACHE_ID}.cache`, script.createCachedData());
  }
}

/** As it was set before that, or the command line gave it; else V8's default, which is the opposite of what was set. */
function before(flag, earlier) {
  const given = [...process.execArgv, ...earlier].findLast((one) => nameOf(one) === nameOf(flag));
  return given ?? (flag.startsWith('--no-') ? flag.replace('--no-', '--') : flag.replace('--', '--no-'));
}

function nameOf(flag) {
  return flag.replace(/^--(no-)?/, '').replace(/=.*/, '');
}

process.on('exit', () => {
  keep(set.length);
  for (let last = set.length - 1; last >= 0; last--) {
    setFlagsFromString(before(set[last], set.slice(0, last)));
    keep(last);
  }
});
