import type { HookStorm } from './hook-storm.ts';
import type { OtherStorm } from './peer-storm.ts';
import type { Storm } from './storm.ts';

/** All that storms have shown, by round. */
export interface Storms {
  readonly empty: readonly Storm[];
  readonly cached: readonly HookStorm[];
  readonly portal: readonly HookStorm[];
  readonly empty500: readonly Storm[];
  readonly cached500: readonly HookStorm[];
  /** Of the first round only. */
  readonly eventsOff: readonly HookStorm[];
  readonly peers: readonly OtherStorm[];
}
