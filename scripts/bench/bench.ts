import type { CertificateFiles } from '../portal/certificates.ts';
import type { Goal } from './goal.ts';
import type { Row } from './measure.ts';
import type { Peers } from './peers.ts';
import type { BenchPortal } from './portal.ts';
import type { Table } from './table.ts';
import type { Command } from './timed.ts';

/** What every part of the bench measures with. */
export interface Bench {
  /** For this part's files; all processes that go by a configuration there are ended afterwards. */
  readonly folder: string;
  readonly certificates: CertificateFiles;
  readonly portal: BenchPortal;
  /** Of single processes; what takes longer has fewer. */
  readonly rounds: number;
  /** What all else is compared with: Node, without flags, on a script with nothing in it. */
  readonly emptyCommand: Command;
  readonly empty: Row;
  /** Looked for, and compiled, at the first call only. */
  peers(): Peers;
}

/** What a part has found out. */
export interface Found {
  readonly tables: readonly Table[];
  readonly goals?: readonly Goal[];
}

export type Part = (bench: Bench) => Promise<Found>;
