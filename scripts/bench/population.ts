/**
 * Who connects in the bench: users by number, each from an address of his own, of whom the portal refuses every tenth, so
 * that a wrong answer can be told from a right one. storm.bash and fill-cache.ts name them in the same way.
 */
import type { PolicyInput } from '../portal/policy.ts';

export const GROUP = 'staff';
export const EVERY = 10;
export const DENIED_REASON = 'every tenth';

export function userOf(number: number): string {
  return `user${number}`;
}

/** @param number below 2^24. */
export function addressOf(number: number): string {
  return `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
}

export function isDenied(number: number): boolean {
  return number % EVERY === EVERY - 1;
}

/** The number of the nth user, from 0 on, who is let in. */
export function allowedNumber(n: number): number {
  return n + Math.floor(n / (EVERY - 1));
}

/** Of whom a policy speaks, so that it stays small: of all above, everybody is let in. */
const POLICY_UP_TO = 50_000;

export function portalPolicy(): PolicyInput {
  const denied = Array.from({ length: POLICY_UP_TO }, (_, number) => number).filter(isDenied);
  return {
    default: { allowed: true },
    users: Object.fromEntries(
      denied.map((number) => [userOf(number), { allowed: false, reason: DENIED_REASON }]),
    ),
  };
}
