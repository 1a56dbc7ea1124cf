import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'smol-toml';
import { ConfigError, configFile, loadConfig, UnreadableConfig } from '../config/load.ts';
import { type Config, isField, SCHEMA, type Table } from '../config/schema.ts';
import { CommandFailed, configOf, type GlobalOptions } from './context.ts';
import { paint, print, printJson } from './output.ts';

/** `{ file, valid, errors: […], warnings: […] }`. Exit 0 valid, 1 not, 2 when there is nothing that can be read. */
export async function check(options: GlobalOptions): Promise<number> {
  const file = configFile(options.config);
  const { errors, warnings } = await examine(file);
  if (options.json) await printJson({ file, valid: errors.length === 0, errors, warnings });
  else {
    for (const warning of warnings) await print(`${paint('yellow', 'warning')}: ${warning}`);
    for (const error of errors) await print(`${paint('red', 'error')}: ${error}`);
    await print(
      errors.length === 0 ? `${paint('green', 'ok')}: ${file}` : `${errors.length} error(s) in ${file}`,
    );
  }
  return errors.length === 0 ? 0 : 1;
}

async function examine(file: string): Promise<{ errors: readonly string[]; warnings: readonly string[] }> {
  try {
    const config = await loadConfig(file);
    const files = await tlsFiles(config);
    return { errors: files.errors, warnings: [...readableByAll(file, 'chmod 0640 it'), ...files.warnings] };
  } catch (error) {
    if (error instanceof UnreadableConfig || !(error instanceof ConfigError)) throw error;
    return { errors: error.problems, warnings: [] };
  }
}

/** What portal.tls names must be there and go together, or no connect will ever reach the portal. */
async function tlsFiles({ portal: { tls } }: Config): Promise<{ errors: string[]; warnings: string[] }> {
  if (!tls.enabled)
    return { errors: [], warnings: ['portal.tls.enabled = false: decisions travel in the clear'] };
  const { tlsFaults } = await import('../portal/credentials.ts');
  const errors = tlsFaults(tls).map(({ detail, cure }) => `${detail}; ${cure}`);
  return { errors, warnings: tls.key_file === '' ? [] : readableByAll(tls.key_file, 'chmod 0600 it') };
}

function readableByAll(file: string, cure: string): string[] {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat !== undefined && (stat.mode & 0o004) !== 0 ? [`${file} can be read by everybody; ${cure}`] : [];
}

/** The effective configuration, defaults filled in, as TOML or JSON. Secrets are masked. */
export async function show(options: GlobalOptions): Promise<number> {
  const shown = display(await configOf(options), SCHEMA as unknown as Table);
  if (options.json) await printJson(shown);
  else await print(stringify(shown));
  return 0;
}

function display(values: object, table: Table): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => {
      const part = table[key];
      if (part === undefined) throw new RangeError(`no such key: ${key}`);
      return [key, isField(part) ? part.show(value) : display(value as object, part)];
    }),
  );
}

/** Writes the documented example where the configuration is looked for. It never overwrites one. */
export async function init(options: GlobalOptions): Promise<number> {
  const file = configFile(options.config);
  if (existsSync(file)) throw new CommandFailed(`${file} exists already and was left as it is`);
  const example = readFileSync(join(__dirname, 'config.toml'));
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    writeFileSync(file, example, { mode: 0o640, flag: 'wx' });
  } catch (error) {
    throw new CommandFailed(`${file} cannot be written: ${(error as Error).message}`);
  }
  if (options.json) await printJson({ file });
  else
    await print(
      `wrote ${file}: set portal.address and the files of portal.tls, then run ocagent-hook config check`,
    );
  return 0;
}
