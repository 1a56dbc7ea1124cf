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
 * V8 puts the flags of the moment into a cache and rejects it under others, and a run that asks the portal takes the launcher's flags back
 * before that (src/portal/load.ts): each chunk is kept under those that it was loaded under.
 */
const takenBack = [];
const { setFlagsFromString } = v8;
v8.setFlagsFromString = (flag) => {
  setFlagsFromString(flag);
  takenBack.push(flag);
};

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    scripts.push({ script: this, filename: options.filename, late: takenBack.length > 0 });
  }
};

function keep(late) {
  for (const { script, filename } of scripts.filter((one) => one.late === late)) {
    writeFileSync(`${filename}.${process.env.CODE_CACHE_ID}.cache`, script.createCachedData());
  }
}

/** As the command line gave it, else V8's default, which is the opposite of what was set. */
function before(flag) {
  const given = process.execArgv.find((argument) => nameOf(argument) === nameOf(flag));
  return given ?? (flag.startsWith('--no-') ? flag.replace('--no-', '--') : flag.replace('--', '--no-'));
}

function nameOf(flag) {
  return flag.replace(/^--(no-)?/, '').replace(/=.*/, '');
}

process.on('exit', () => {
  keep(true);
  for (const flag of takenBack.toReversed()) setFlagsFromString(before(flag));
  keep(false);
});
