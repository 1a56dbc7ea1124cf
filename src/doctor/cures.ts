import { resolve } from 'node:path';
import { DEFAULT_FILE } from '../config/load.ts';
import type { Finding } from './finding.ts';
import { quoted } from './quoted.ts';

/** What the program's own commands need to be told, so that they use the configuration that was examined: nothing, or an option with a blank before it. */
export function configOption(configFile: string): string {
  return configFile === DEFAULT_FILE ? '' : ` --config ${quoted(resolve(configFile))}`;
}

const COMMANDS = 'auth|breaker|cache|config|doctor|events|maintain|metrics|sessions|status';

/** A cure as it cures here: `ocagent-hook` without that option would look at another configuration. */
export function forConfiguration(finding: Finding, configFile: string): Finding {
  const named = new RegExp(`\\bocagent-hook (?=(?:${COMMANDS})\\b)`, 'g');
  // A function, for what `$` means in a replacement.
  const cure = finding.cure.replace(named, () => `ocagent-hook${configOption(configFile)} `);
  return { ...finding, cure };
}
