import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const LAUNCHER = join(import.meta.dirname, '..', 'bin', 'ocagent-hook');

/**
 * What bin/ocagent-hook gives Node, as it is written there: V8 rejects a code cache that was made under other flags.
 * @throws when the launcher no longer says it as this expects.
 */
export function launcherFlags(): string[] {
  const [, flags] = /^set -- (--.+) "\$boot" "\$@"$/m.exec(readFileSync(LAUNCHER, 'utf8')) ?? [];
  if (flags === undefined) throw new Error(`${LAUNCHER} names no flags`);
  return flags.split(' ');
}
