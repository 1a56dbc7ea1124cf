import type { FailMode, Source } from './types.ts';

export interface Verdict {
  readonly allowed: boolean;
  readonly source: Source;
  readonly reason: string;
}

/** A decision of the portal's that is past its ttl but may still be used. */
export interface Usable {
  readonly allowed: boolean;
  readonly reason: string;
}

/**
 * Who gets in while the portal cannot be asked (contract/cli.md, "Fail modes"). `why` is what kept us from asking.
 * Emergency users come first: they are the ones who must mend it, whatever a broken portal said of them before.
 */
export function failMode(
  mode: FailMode,
  usable: Usable | undefined,
  emergency: boolean,
  why: string,
): Verdict {
  if (emergency) return { allowed: true, source: 'emergency', reason: `emergency user; ${why}` };
  switch (mode) {
    case 'close':
      return { allowed: false, source: 'fail-close', reason: `${why}; fail mode close` };
    case 'stale':
      if (usable === undefined) {
        return {
          allowed: false,
          source: 'fail-close',
          reason: `${why}; fail mode stale has no usable decision`,
        };
      }
      return { allowed: usable.allowed, source: 'stale', reason: usable.reason };
    case 'open':
      // An outage must not let in somebody whom the portal has just refused.
      if (usable?.allowed === false) return { allowed: false, source: 'stale', reason: usable.reason };
      return { allowed: true, source: 'fail-open', reason: `${why}; fail mode open` };
  }
}
