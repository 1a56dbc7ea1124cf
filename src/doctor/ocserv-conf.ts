/** An option as it is in force. */
export interface Setting {
  readonly value: string;
  /** From 1. */
  readonly line: number;
  /** The line names no option: it begins with a blank, so it goes on with the one before it. */
  readonly continued: boolean;
}

/** One that stands in a section, where ocserv looks for few options only. */
export interface Misplaced extends Setting {
  readonly name: string;
  readonly section: string;
}

export interface OcservConf {
  readonly settings: ReadonlyMap<string, Setting>;
  readonly misplaced: readonly Misplaced[];
  /** The first line that keeps ocserv from starting; null when there is none. */
  readonly unreadable: number | null;
}

/**
 * ocserv.conf as ocserv 1.1.6 reads it (measured: test/e2e/doctor-ocserv-conf.test.ts). Of an option that is named twice the last counts; a line
 * that begins with a blank is a further value of the option before it; `#` begins a comment at the line's beginning and after a
 * blank, `;` at the beginning only; `[vhost:…]` and any other section hold until the next one.
 */
export function parseOcservConf(text: string): OcservConf {
  const settings = new Map<string, Setting>();
  const misplaced: Misplaced[] = [];
  let unreadable: number | null = null;
  let section = '';
  let previous = '';
  const put = (name: string, text: string, line: number, continued: boolean): void => {
    const value = (continued ? text : text.replace(/\s#.*$/, '')).replace(/^[\s"]+|[\s"]+$/g, '');
    // Nothing but quotes, or a comment, is passed over; nothing at all is a value.
    if (value === '' && text !== '') return;
    if (section === '') settings.set(name, { value, line, continued });
    else misplaced.push({ name, section, value, line, continued });
  };
  for (const [index, raw] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    const number = index + 1;
    const line = raw.trim();
    if (line === '' || /^[#;]/.test(line)) continue;
    if (previous !== '' && /^\s/.test(raw)) {
      put(previous, line, number, true);
      continue;
    }
    const [, header] = /^\[([^\]]*)\]/.exec(line) ?? [];
    if (header !== undefined) {
      section = header;
      previous = '';
      continue;
    }
    const [, name, value] = /^([^[=:][^=:]*?|)\s*[=:](.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) unreadable ??= number;
    else {
      previous = name;
      put(name, value, number, false);
    }
  }
  return { settings, misplaced, unreadable };
}

/** ocserv takes these two words, and anything else is a no. */
export function isTrue(value: string | undefined): boolean {
  return value !== undefined && /^(true|yes)$/i.test(value);
}
