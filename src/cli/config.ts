import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'smol-toml';
import { configFile } from '../config/load.ts';
import { isField, SCHEMA, type Table } from '../config/schema.ts';
import { examine, type Problem } from '../doctor/configuration.ts';
import { CommandFailed, configOf, type GlobalOptions } from './context.ts';
import { paint, print, printJson } from './output.ts';

/** `{ file, valid, errors: […], warnings: […] }`. Exit 0 valid, 1 not, 2 when there is nothing that can be read. */
export async function check(options: GlobalOptions): Promise<number> {
  const file = configFile(options.config);
  const examined = await examine(file);
  const errors = examined.errors.map(inOneLine);
  const warnings = examined.warnings.map(inOneLine);
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

function inOneLine({ what, cure }: Problem): string {
  return cure === '' ? what : `${what}; ${cure}`;
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
