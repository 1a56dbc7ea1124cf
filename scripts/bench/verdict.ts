/** Whether the hooks of a storm decided as the portal's policy has it, by their exit statuses and their logs. Pure. */
import { isDenied, userOf } from './population.ts';
import type { Ending } from './storm.ts';

export interface Verdict {
  /** Turned away although the portal lets them in. */
  readonly wronglyDenied: number;
  /** Let in although the portal does not. */
  readonly wronglyAllowed: number;
  /** Not answered by whom it should have been: another source, somebody else's decision, or none that was logged. */
  readonly otherwise: number;
  /** Of which a deadline answered: the hook's own, or that of its call to the portal. */
  readonly deadlines: number;
  /** Decided, but neither the decision nor its session could be written down. */
  readonly unrecorded: number;
  /** Milliseconds that the slowest took to its decision, from its start on. */
  readonly slowest: number;
}

type Line = Readonly<Record<string, unknown>>;

/** @param source what should have answered, as the log has it. */
export function verdictOf(endings: readonly Ending[], source: 'cache' | 'portal'): Verdict {
  const each = endings.map(({ number, status, log }) => {
    const lines = linesOf(log);
    const decision = lines.find(({ msg }) => msg === 'connect allowed' || msg === 'connect denied');
    const allowed = status === 0;
    return {
      wronglyDenied: !allowed && !isDenied(number),
      wronglyAllowed: allowed && isDenied(number),
      otherwise:
        decision?.['source'] !== source ||
        decision['username'] !== userOf(number) ||
        decision['allowed'] !== allowed,
      deadline: lines.some(
        ({ msg, code }) => String(msg).startsWith('hook.deadline') || code === 'DEADLINE_EXCEEDED',
      ),
      unrecorded: lines.some(({ msg }) => String(msg).startsWith('the state could not be written')),
      took: Number(decision?.['duration_ms'] ?? 0),
    };
  });
  const count = (what: (one: (typeof each)[number]) => boolean): number => each.filter(what).length;
  return {
    wronglyDenied: count((one) => one.wronglyDenied),
    wronglyAllowed: count((one) => one.wronglyAllowed),
    otherwise: count((one) => one.otherwise),
    deadlines: count((one) => one.deadline),
    unrecorded: count((one) => one.unrecorded),
    slowest: Math.max(...each.map(({ took }) => took)),
  };
}

function linesOf(log: string): Line[] {
  return log
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Line => {
      try {
        return JSON.parse(line) as Line;
      } catch {
        // Not of the log's: whatever it is, no decision.
        return {};
      }
    });
}
