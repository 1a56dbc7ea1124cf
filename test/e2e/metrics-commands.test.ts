import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HOOK } from '../../scripts/stage/installation.ts';
import { run, toolEnvironment } from '../../scripts/vpn/run.ts';
import { DASHBOARD, RULES } from './metrics-texts.ts';

const README = join(import.meta.dirname, '..', '..', 'deploy', 'README.md');

/** `ocagent-hook WORDS`, as texts name it; a line may end anywhere in it. */
function commandsIn(text: string): string[] {
  return [...text.matchAll(/`ocagent-hook\s+([^`]+)`/g)].map(([, words = '']) => words.replace(/\s+/g, ' '));
}

test('every command that alerts, dashboard and README recommend is one, with those options', async () => {
  const texts = [RULES, DASHBOARD, README].map((file) => readFileSync(file, 'utf8'));
  const commands = new Set(texts.flatMap(commandsIn));
  assert.ok(commands.size > 10, [...commands].join());
  for (const command of commands) {
    const words = command.split(' ');
    const first = words.findIndex((word) => word.startsWith('-'));
    const name = words.slice(0, first === -1 ? words.length : first);
    const { stdout } = await run([HOOK, ...name, '--help'], { env: toolEnvironment() });
    // Asked for help with what it does not know, the program explains itself.
    assert.ok(stdout.startsWith(`Usage: ocagent-hook ${name.join(' ')} [`), `${command}: ${stdout}`);
    for (const option of words.filter((word) => word.startsWith('--'))) {
      assert.ok(stdout.includes(`  ${option} `), `${command}: ${stdout}`);
    }
  }
});
