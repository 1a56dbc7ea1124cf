import { readSample, type Sample } from '../unit/exposition.ts';

/** What stands in a text of Prometheus' format, comments left out: of all that node_exporter serves, in whatever order. */
export function exposedIn(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(readSample);
}

/** The same for the same series with the same value, however they are written. */
export function keyOf({ name, labels, value }: Sample): string {
  return JSON.stringify([name, Object.entries(labels).sort(), value]);
}
