/** One sample of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const SAMPLE = new RegExp(String.raw`^(${NAME})(?:\{(${LABEL}(?:,${LABEL})*),?\})? (\S+)$`);

/**
 * Reads Prometheus' text format as strictly as node_exporter's textfile collector does, and more: HELP, TYPE, then that family's
 * samples and no others; no timestamps, no series twice.
 */
export function readExposition(text: string): Family[] {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line is cut');
  const families: (Family & { samples: Sample[] })[] = [];
  let help: { name: string; text: string } | null = null;
  for (const line of text.split('\n').slice(0, -1)) {
    const [, keyword = '', name = '', rest = ''] =
      new RegExp(`^# (HELP|TYPE) (${NAME}) (.*)$`).exec(line) ?? [];
    if (keyword === 'HELP') {
      help = { name, text: rest };
    } else if (keyword === 'TYPE') {
      if (help?.name !== name) throw new Error(`no HELP before: ${line}`);
      if (families.some((family) => family.name === name)) throw new Error(`twice: ${line}`);
      families.push({ name, type: rest, help: help.text, samples: [] });
    } else {
      const family = families.at(-1);
      if (family === undefined || help?.name !== family.name) throw new Error(`no TYPE before: ${line}`);
      const sample = readSample(line);
      const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
      if (!suffixes.some((suffix) => sample.name === family.name + suffix)) {
        throw new Error(`not of ${family.name}, a ${family.type}: ${line}`);
      }
      family.samples.push(sample);
    }
  }
  const series = families.flatMap(({ samples }) =>
    samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).sort()])),
  );
  if (new Set(series).size !== series.length) throw new Error('a series stands there twice');
  return families;
}

export function readSample(line: string): Sample {
  const match = SAMPLE.exec(line);
  if (match === null) throw new Error(`not a sample, or one with a timestamp: ${line}`);
  const [, name = '', labels = '', value = ''] = match;
  const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value);
  if (Number.isNaN(number)) throw new Error(`not a number: ${line}`);
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', quoted = '']) => [
    label,
    quoted.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
  ]);
  return { name, labels: Object.fromEntries(pairs), value: number };
}
