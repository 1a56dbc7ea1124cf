/** This very process as a drain that takes calls, as a launcher sees it: it answers each in the same way. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Agent } from './agent.ts';
import { sign } from './handed-over.ts';

export function decliningDrain(agent: Agent, config = agent.configFile): Disposable {
  const folder = (name: string): string => join(agent.runDir, name);
  for (const name of ['', 'calls', 'answers']) mkdirSync(folder(name), { recursive: true, mode: 0o700 });
  const decline = (): void => {
    for (const name of readdirSync(folder('calls'))) {
      try {
        writeFileSync(join(folder('answers'), name), '-\n', { flag: 'wx' });
        rmSync(join(folder('calls'), name));
        process.kill(Number(name.split('.')[0]), 'SIGUSR1');
      } catch {
        // It has been taken back.
      }
    }
  };
  process.on('SIGURG', decline);
  writeFileSync('/proc/self/comm', 'ocagent=drain');
  writeFileSync(folder('patience'), '60\n');
  writeFileSync(sign(agent), `${process.pid} 2 4 ${config}\n`);
  return {
    [Symbol.dispose]() {
      process.off('SIGURG', decline);
      writeFileSync('/proc/self/comm', 'node');
    },
  };
}
