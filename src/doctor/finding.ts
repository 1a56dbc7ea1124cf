/** What a check came to, the worst last: all is well; worth knowing; to be mended; somebody is or will be kept out, let in or lost. */
export type Level = 'ok' | 'note' | 'warning' | 'broken';

/** One thing that was looked at. `why` it matters and the `cure` (a command or an edit) are empty where all is well. */
export interface Finding {
  /** Which check, for scripts: `portal.certificate`. */
  readonly check: string;
  readonly level: Level;
  readonly what: string;
  readonly why: string;
  readonly cure: string;
}

export function ok(check: string, what: string): Finding {
  return { check, level: 'ok', what, why: '', cure: '' };
}

export function note(check: string, what: string, why: string, cure: string): Finding {
  return { check, level: 'note', what, why, cure };
}

export function warning(check: string, what: string, why: string, cure: string): Finding {
  return { check, level: 'warning', what, why, cure };
}

export function broken(check: string, what: string, why: string, cure: string): Finding {
  return { check, level: 'broken', what, why, cure };
}

export function isBroken(findings: readonly Finding[]): boolean {
  return findings.some(({ level }) => level === 'broken');
}
