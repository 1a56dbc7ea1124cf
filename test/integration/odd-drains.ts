/** This very process as a drain that takes calls, as a launcher sees it. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { born } from '../../src/drain/sign.ts';
import type { Agent } from './agent.ts';
import { sign } from './handed-over.ts';

/** Answers each call at once, that nothing was done. */
export function decliningDrain(agent: Agent, config = agent.configFile): Disposable {
  const folder = folderOf(agent);
  return drainThat(
    (name) => {
      writeFileSync(join(folder('answers'), name), '-\n', { flag: 'wx' });
      rmSync(join(folder('calls'), name));
      wake(name);
    },
    agent,
    config,
  );
}

/** Takes no more calls as soon as it has one, and answers this after `ms`: longer than a launcher sleeps. */
export function retiringDrain(agent: Agent, ms: number): Disposable {
  const folder = folderOf(agent);
  return drainThat((name) => {
    rmSync(sign(agent));
    rmSync(join(folder('calls'), name));
    writeFileSync(join(folder('answers'), name), '', { flag: 'wx' });
    setTimeout(() => {
      writeFileSync(join(folder('answers'), name), '0\n');
      wake(name);
    }, ms);
  }, agent);
}

/** Has the last word on each call, and does not say it. */
export function silentDrain(agent: Agent, seconds = 5): Disposable & { readonly taken: number } {
  const folder = folderOf(agent);
  let taken = 0;
  const drain = drainThat(
    (name) => {
      rmSync(join(folder('calls'), name));
      writeFileSync(join(folder('answers'), name), '\n', { flag: 'wx' });
      taken += 1;
    },
    agent,
    agent.configFile,
    seconds,
  );
  return {
    get taken() {
      return taken;
    },
    [Symbol.dispose]: () => drain[Symbol.dispose](),
  };
}

/** Hears of calls, and does nothing. */
export function hangingDrain(agent: Agent): Disposable {
  return drainThat(() => {}, agent);
}

const folderOf =
  (agent: Agent) =>
  (name: string): string =>
    join(agent.runDir, name);

function wake(name: string): void {
  process.kill(Number(name.split('.')[0]), 'SIGUSR1');
}

function drainThat(
  take: (name: string) => void,
  agent: Agent,
  config = agent.configFile,
  atLast = 5,
): Disposable {
  const folder = folderOf(agent);
  for (const name of ['', 'calls', 'answers']) mkdirSync(folder(name), { recursive: true, mode: 0o700 });
  const look = (): void => {
    for (const name of readdirSync(folder('calls'))) {
      try {
        take(name);
      } catch {
        // It has been taken back.
      }
    }
  };
  process.on('SIGURG', look);
  writeFileSync('/proc/self/comm', 'ocagent=drain');
  writeFileSync(folder('patience'), '60\n');
  writeFileSync(sign(agent), `${process.pid} ${born()} 2 4 ${atLast} ${config}\n`);
  return {
    [Symbol.dispose]() {
      process.off('SIGURG', look);
      writeFileSync('/proc/self/comm', 'node');
    },
  };
}
