import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { parse } from 'smol-toml';
import { readConfig } from '../../src/config/read.ts';
import { isField, SCHEMA, type Table } from '../../src/config/schema.ts';

/** As plain objects: the parser's have no prototype. */
const example = structuredClone(
  parse(readFileSync(resolve(import.meta.dirname, '../../config.toml'), 'utf8')),
);

/** Every key by its full path, with its value; a field's table (such as `headers`) is a value. */
function keysOf(table: Record<string, unknown>, schema: Table, at = ''): Map<string, unknown> {
  const keys = new Map<string, unknown>();
  for (const [key, value] of Object.entries(table)) {
    const part = schema[key];
    const path = at + key;
    if (part === undefined || isField(part)) keys.set(path, value);
    else
      for (const [inner, its] of keysOf(value as Record<string, unknown>, part, `${path}.`))
        keys.set(inner, its);
  }
  return keys;
}

function defaultsOf(schema: Table, at = ''): Map<string, unknown> {
  const keys = new Map<string, unknown>();
  for (const [key, part] of Object.entries(schema)) {
    const path = at + key;
    if (!isField(part)) for (const [inner, its] of defaultsOf(part, `${path}.`)) keys.set(inner, its);
    else keys.set(path, part.initial === undefined ? undefined : part.show(part.initial));
  }
  return keys;
}

/** `a.b.c` keys as tables inside tables. */
function nested(keys: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const table: Record<string, unknown> = {};
  for (const name of new Set(keys.map(([path]) => path.split('.')[0] ?? ''))) {
    const inside = keys.filter(([path]) => path.startsWith(`${name}.`));
    const rest = inside.map(([path, value]) => [path.slice(name.length + 1), value] as const);
    table[name] = inside.length > 0 ? nested(rest) : keys.find(([path]) => path === name)?.[1];
  }
  return table;
}

const schema = SCHEMA as unknown as Table;

test('the committed config.toml has every key there is, and none that is not', () => {
  const given = [...keysOf(example, schema).keys()].sort();
  assert.deepEqual(given, [...defaultsOf(schema).keys()].sort());
});

test('the committed config.toml has every key at its default, but the address, which has none', () => {
  const without = readConfig({ portal: { address: 'portal.example.net:9091' } });
  assert.deepEqual(readConfig(example), without);
  assert.deepEqual(without.problems, []);
  const missing = [...defaultsOf(schema)].filter(([, initial]) => initial === undefined).map(([key]) => key);
  assert.deepEqual(missing, ['portal.address']);
});

test('what is shown of a configuration is read as the same configuration again', () => {
  const shown = nested([...defaultsOf(schema)].filter(([, value]) => value !== undefined));
  const portal = { ...(shown['portal'] as object), address: 'portal.example.net:9091' };
  assert.deepEqual(readConfig({ ...shown, portal }), readConfig(example));
});

test('the values of headers are masked where the configuration is shown', () => {
  const { headers } = SCHEMA.telemetry;
  assert.deepEqual(headers.show({ authorization: 'Bearer x' }), { authorization: '***' });
});
