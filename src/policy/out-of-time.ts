import type { Failure } from './types.ts';

/** This machine was too slow, so nothing is known of the portal. */
export function outOfTime(when: string): Failure {
  return {
    code: 'DEADLINE_EXCEEDED',
    detail: `the time was used up before the portal could be asked (${when})`,
    cure: 'this machine is too busy for hook.deadline, or the disk of state.path is too slow',
    counts: 'no',
    misconfigured: false,
  };
}
