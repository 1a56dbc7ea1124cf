import type { Stats } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { readConfig } from './read.ts';
import { readRegularFile } from './regular-file.ts';
import type { Config } from './schema.ts';

/** Where hooks look when ocserv's environment names no other. */
export const DEFAULT_FILE = '/etc/ocagent-hook/config.toml';

/** A configuration that cannot be used: every reason, one a line, each with its place and its cure. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** There is nothing to check: the file is not there, or not ours to read. */
export class UnreadableConfig extends ConfigError {}

/** Which file is meant: `--config`, else `$OCAGENT_CONFIG`, else /etc/ocagent-hook/config.toml. */
export function configFile(option?: string): string {
  return option ?? (process.env['OCAGENT_CONFIG'] || DEFAULT_FILE);
}

/**
 * Reads, checks and completes the configuration.
 * @throws {ConfigError} with every problem at once.
 */
export async function loadConfig(file: string): Promise<Config> {
  const source = readTrusted(file);
  const parsed = parseToml(file, source);
  const { config, problems } = readConfig(parsed);
  if (config !== null) return config;
  // Lines and nearest keys need a second parser, which a good configuration never pays for.
  const { explain } = await import('./explain.ts');
  throw new ConfigError(explain(file, source, problems));
}

function readTrusted(file: string): string {
  try {
    const text = readRegularFile(file, (stat) => {
      const distrust = whyDistrusted(stat);
      if (distrust !== null) throw new ConfigError([`${file}: ${distrust}`]);
    }).toString();
    if (text.includes('\ufffd')) throw new ConfigError([`${file}: is not valid UTF-8; save it as UTF-8`]);
    return text;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new UnreadableConfig([unreadable(file, error as NodeJS.ErrnoException)]);
  }
}

/** Who can write the configuration decides who gets into the VPN (design: "Secrets and strangers"). */
function whyDistrusted(stat: Stats): string | null {
  const uid = process.geteuid?.() ?? 0;
  if (stat.uid !== 0 && stat.uid !== uid) {
    return `is owned by uid ${stat.uid}, not by root or uid ${uid}; chown root it`;
  }
  const groupIsOurs = stat.gid === 0 || stat.gid === process.getegid?.();
  if ((stat.mode & 0o002) !== 0 || ((stat.mode & 0o020) !== 0 && !groupIsOurs)) {
    return `can be written by others (mode ${(stat.mode & 0o777).toString(8).padStart(4, '0')}); chmod 0640 it`;
  }
  return null;
}

function unreadable(file: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return `${file}: there is no such file; write one with "ocagent-hook config init", or name another with --config or OCAGENT_CONFIG`;
    case 'EACCES':
      return `${file}: permission denied; run as root, or as the user who owns it`;
    default:
      return `${file}: cannot be read: ${error.message}`;
  }
}

function parseToml(file: string, source: string): Record<string, unknown> {
  try {
    return parse(source);
  } catch (error) {
    if (error instanceof TomlError) {
      // smol-toml's message goes on with a frame of the source, which helps a person and not a log line.
      const [summary] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
      throw new ConfigError([`${file}:${error.line}:${error.column}: not valid TOML: ${summary}`]);
    }
    throw error;
  }
}
