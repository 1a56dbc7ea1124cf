/** Durations as Go and Prometheus write them: `300ms`, `1h30m`, `1.5s`, `30d`. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const PART = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)/y;

/** Milliseconds, or null when `text` is no duration. `0` needs no unit, as in Go. Negative durations do not exist here. */
export function parseDuration(text: string): number | null {
  if (text === '0') return 0;
  if (text === '') return null;
  let total = 0;
  // Part by part with one expression: matchAll is slow, and every hook reads some twenty durations.
  for (PART.lastIndex = 0; PART.lastIndex < text.length; ) {
    const part = PART.exec(text);
    if (part === null) return null;
    total += Number(part[1]) * (UNITS[part[2] ?? ''] ?? Number.NaN);
  }
  // Binary fractions fall a little short: 1.001s is 1001 ms.
  const whole = Math.round(total);
  if (!Number.isSafeInteger(whole)) return null;
  return Math.abs(total - whole) < 1e-6 ? whole : total;
}

/** The shortest exact form in the units above: 90000 is `1m30s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s';
  let rest = milliseconds;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const size = UNITS[unit] ?? 1;
    const count = unit === 'ms' ? rest : Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
