/** The state cannot be used by this process. It then goes on without it: that never decides a connect by accident. */
export class StateUnusable extends Error {
  readonly cure: string;

  constructor(message: string, cure: string) {
    super(message);
    this.name = 'StateUnusable';
    this.cure = cure;
  }
}

/** What an error of SQLite means for us. */
export type Trouble = 'busy' | 'corrupt' | 'unwritable' | 'unusable' | 'not SQLite';

export function troubleOf(error: unknown): Trouble {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || !code.startsWith('SQLITE_')) return 'not SQLite';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'busy';
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return 'corrupt';
  // READONLY, FULL and IOERR: what can still be read still answers (design, rule 4).
  if (/^SQLITE_(READONLY|FULL|IOERR)/.test(code)) return 'unwritable';
  return 'unusable';
}
