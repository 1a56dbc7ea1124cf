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

export function isReadOnly(error: unknown): boolean {
  return `${(error as { code?: unknown }).code}`.startsWith('SQLITE_READONLY');
}

/** For people: what became of the state by that error of SQLite, and the cure. */
export function unusable(path: string, error: unknown): StateUnusable {
  switch (troubleOf(error)) {
    case 'busy':
      return new StateUnusable(
        `${path} was locked by another process for too long`,
        'see which process holds it (fuser), and whether the disk is slow',
      );
    case 'corrupt':
      return new StateUnusable(
        `${path} is corrupt`,
        'the next hook sets it aside and begins a new one; see the disk',
      );
    case 'unwritable':
    case 'unusable':
      return new StateUnusable(
        `${path} cannot be opened: ${explain(error)}`,
        'see the free space, the mode and the mount of its folder',
      );
    case 'not SQLite':
      return new StateUnusable(
        `${path} cannot be used: ${explain(error)}`,
        'see whether state.path is meant',
      );
  }
}

/** Of a step that could only read. */
export function unwritable(why: string): StateUnusable {
  return new StateUnusable(
    `the state cannot be written: ${why}`,
    'see the free space, the mode and the mount of its folder',
  );
}

/** Why something could not be written or read, in few words. */
export function explain(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case 'SQLITE_FULL':
      return 'the disk is full';
    case 'SQLITE_BUSY':
      return 'it was locked by another process for too long';
    default:
      return isReadOnly(error) ? `it is read-only (${code})` : `${message ?? error} (${code ?? 'no code'})`;
  }
}
