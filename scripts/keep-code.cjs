'use strict';
/**
 * Preloaded by scripts/code-cache.ts into a real run of the program: at its end, writes V8's code cache of every chunk
 * that boot.cjs loaded, with the functions that this run compiled.
 */
const { writeFileSync } = require('node:fs');
const vm = require('node:vm');

const scripts = [];

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    scripts.push({ script: this, filename: options.filename });
  }
};

process.on('exit', () => {
  for (const { script, filename } of scripts) {
    writeFileSync(`${filename}.${process.env.CODE_CACHE_ID}.cache`, script.createCachedData());
  }
});
