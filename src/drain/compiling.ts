/** Milliseconds: what lasts longer than a storm is worth V8's best. */
const STORM_MS = 20_000;

let hasBegun = false;

/**
 * V8 counts how often a function runs, and makes better and better machine code of it, on threads of its own. In the seconds of a storm that
 * takes more of the processors, which hooks wait for, than it saves. So from the first call on, until a storm would be over, code is only made
 * into machine code as it stands, which costs next to nothing. (For a hook not even that pays: bin/ocagent-hook.) To be called with each call,
 * and so once all is loaded: the code cache of the chunks is made under other flags. Only the first has an effect.
 */
export function compileLittleInStorms(): void {
  if (hasBegun) return;
  hasBegun = true;
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const set = (...flags: readonly string[]): void => {
    for (const flag of flags) setFlagsFromString(flag);
  };
  set('--sparkplug', '--no-maglev', '--no-turbofan');
  setTimeout(() => set('--maglev', '--turbofan'), STORM_MS).unref();
}
