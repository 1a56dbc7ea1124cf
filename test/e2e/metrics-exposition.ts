/** A line of Prometheus' text format. */
export interface Exposed {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What stands in a text of Prometheus' format, comments left out. A line that is neither fails. */
export function exposedIn(text: string): Exposed[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === '') throw new Error(`not a line of Prometheus' text format: ${line}`);
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [
      label,
      text,
    ]);
    return { name, labels: Object.fromEntries(pairs), value: Number(value) };
  });
}

/** The same for the same series with the same value, however they are written. */
export function keyOf({ name, labels, value }: Exposed): string {
  return JSON.stringify([name, Object.entries(labels).sort(), value]);
}
