import type { Found } from './bench.ts';
import { goalOf } from './goal.ts';
import type { LockWaits } from './lock-waits.ts';
import { median } from './statistics.ts';

/** Milliseconds that a cleanup may keep a hook waiting. */
const MOST_MS = 50;

/** Milliseconds that hooks took from start to end, one after another. */
export interface Walls {
  readonly cached: readonly number[];
  readonly portal: readonly number[];
}

export interface CleanupFigures {
  readonly without: Walls;
  readonly during: Walls;
  readonly waitsWithout: LockWaits;
  readonly waits: LockWaits;
}

export function cleanupFigures({ without, during, waitsWithout, waits }: CleanupFigures): Found {
  const hooks = (['cached', 'portal'] as const).map((what) => {
    const usual = median(without[what]);
    const beyond = (walls: readonly number[]): number => Math.max(...walls) - usual;
    return { what, usual, beyond: beyond(during[what]), beyondWithout: beyond(without[what]) };
  });
  return {
    tables: [
      {
        title: 'A cleanup of 1,000,000 expired decisions: hooks beside it, one after another',
        columns: ['ms', 'hooks without', 'median', 'longest', 'hooks beside', 'median', 'longest', 'beyond'],
        rows: hooks.map(({ what, usual, beyond }) => [
          `${what} connect`,
          `${without[what].length}`,
          usual.toFixed(1),
          Math.max(...without[what]).toFixed(1),
          `${during[what].length}`,
          median(during[what]).toFixed(1),
          Math.max(...during[what]).toFixed(1),
          beyond.toFixed(1),
        ]),
        notes: ['beyond: the longest beside it less the median without.'],
      },
      {
        title: 'The same cleanup: how long a process waits for the lock',
        columns: ['ms', 'steps', 'median wait', 'longest wait', 'longest step'],
        rows: [lockLine('without', waitsWithout), lockLine('beside the cleanup', waits)],
        notes: ['A step every 2 ms. A whole step has a commit, too, and at times a checkpoint of the log.'],
      },
    ],
    goals: [
      goalOf(
        'cleanup of 1,000,000 expired entries while hooks run: the longest wait',
        `≤ ${MOST_MS} ms`,
        `for the lock ${waits.longest.toFixed(0)} ms; whole hooks: ${hooks
          .map(
            ({ what, beyond, beyondWithout }) =>
              `${what} connect ${beyond.toFixed(0)} ms beyond the median (without a cleanup ${beyondWithout.toFixed(0)} ms)`,
          )
          .join('; ')}`,
        // Hooks also share the processors with it, and of a thousand one is always slow: what they wait for it is the lock.
        waits.longest <= MOST_MS,
      ),
    ],
  };
}

function lockLine(name: string, { steps, median, longest, longestStep }: LockWaits): string[] {
  return [name, `${steps}`, median.toFixed(2), longest.toFixed(1), longestStep.toFixed(1)];
}
