/** Milliseconds of a drain's life after which code that is still in use is worth V8's best. */
const WORTH_IT_AFTER_MS = 5_000;

/**
 * V8 counts how often a function runs, and has threads of their own make better and better machine code of it. In the seconds of a storm that takes more
 * of the processors, which hooks wait for, than it saves. So until it has lasted a drain's code is only made into machine code as it stands, which costs next to nothing;
 * the launcher's flags leave that out, too, as it does not pay for a hook. To be called once all is loaded: the chunks' code cache is made under those.
 */
export function compileLittleAtFirst(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const set = (...flags: readonly string[]): void => {
    for (const flag of flags) setFlagsFromString(flag);
  };
  set('--sparkplug', '--no-maglev', '--no-turbofan');
  setTimeout(() => set('--maglev', '--turbofan'), WORTH_IT_AFTER_MS).unref();
}
