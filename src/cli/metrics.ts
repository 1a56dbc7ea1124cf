import { closeSync, fchmodSync, lstatSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { shownUrl } from '../config/endpoint.ts';
import { BUCKETS } from '../metrics/catalogue.ts';
import { exportMetrics } from '../telemetry/export.ts';
import { type Snapshot, takeSnapshot } from '../telemetry/snapshot.ts';
import { CommandFailed, configOf, type GlobalOptions, stateOf } from './context.ts';
import { paint, print, printJson, visible } from './output.ts';

export interface ShowOptions extends GlobalOptions {
  readonly format: 'prometheus' | 'json';
  readonly output?: string;
}

/** The counters of all invocations so far, to stdout or, whole or not at all, into a file. */
export async function show(options: ShowOptions): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config);
  if (!state.isThere) {
    throw new CommandFailed(
      `there is nothing to show yet: the first hook, or ocagent-hook maintain, makes ${config.state.path}`,
    );
  }
  const snapshot = await state.read((tx) => takeSnapshot(tx, config));
  const text = options.json || options.format === 'json' ? json(snapshot) : await prometheus(snapshot);
  if (options.output === undefined) await print(text);
  else replace(options.output, text);
  return 0;
}

async function prometheus(snapshot: Snapshot): Promise<string> {
  const { prometheusText } = await import('../telemetry/prometheus.ts');
  return prometheusText(snapshot);
}

/** Buckets are cumulative, as Prometheus has them: `count` of at most `le` seconds. */
function json({ createdAt, takenAt, instanceId, version, counters, histograms, gauges }: Snapshot): string {
  const single = (kind: string) => (metric: (typeof counters | typeof gauges)[number]) => ({
    name: metric.name,
    type: kind,
    unit: metric.unit,
    description: metric.description,
    points: metric.points,
  });
  const document = {
    instance_id: instanceId,
    version,
    created_at: new Date(createdAt).toISOString(),
    time: new Date(takenAt).toISOString(),
    metrics: [
      ...counters.map(single('counter')),
      ...histograms.map(({ name, unit, description, points }) => ({
        name,
        type: 'histogram',
        unit,
        description,
        points: points.map(({ attributes, buckets, sum }) => {
          const upTo = (place: number): number =>
            buckets.slice(0, place + 1).reduce((all, one) => all + one, 0);
          return {
            attributes,
            count: upTo(buckets.length),
            sum,
            buckets: BUCKETS.map((le, place) => ({ le, count: upTo(place) })),
          };
        }),
      })),
      ...gauges.map(single('gauge')),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Whoever reads the file sees the old text or the new one, never a part: node_exporter reads whenever it is scraped. */
function replace(file: string, text: string): void {
  let aside: string | null = null;
  try {
    mustBeReplaceable(file);
    // Not *.prom, which node_exporter would read.
    aside = join(dirname(file), `.${basename(file)}.${process.pid}.tmp`);
    // One that a killed process of the same id left is nobody's.
    rmSync(aside, { force: true });
    // The folder may be another user's: what is written, and made readable for node_exporter, must be this very file, not what the
    // name leads to by then.
    const fd = openSync(aside, 'wx', 0o600);
    try {
      writeFileSync(fd, text);
      fchmodSync(fd, 0o644);
    } finally {
      closeSync(fd);
    }
    renameSync(aside, file);
  } catch (error) {
    if (aside !== null) remove(aside);
    throw new CommandFailed(
      `${file} cannot be written: ${(error as Error).message}; see its folder, and the free space there`,
    );
  }
}

/**
 * Only what has content that could be replaced. A link could lead to a device (/dev/stdout), and in a folder of another user's to
 * wherever he likes.
 */
function mustBeReplaceable(file: string): void {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat === undefined || stat.isFile()) return;
  throw new Error(
    stat.isSymbolicLink() ? 'it is a symbolic link: name the file itself' : 'it is no regular file',
  );
}

function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It could not be made either.
  }
}

/** Sends them by OTLP now, whatever telemetry.interval says. Exit 1 when the collector did not take them. */
export async function exportNow(options: GlobalOptions): Promise<number> {
  const config = await configOf(options);
  const { endpoint, enabled } = config.telemetry;
  if (!enabled) throw new CommandFailed('telemetry.enabled is false: there is nowhere to export to');
  const state = await stateOf(config, { create: true });
  const result = await exportMetrics(config, state, 0);
  const error = 'why' in result ? result.why : null;
  const where = shownUrl(endpoint);
  if (options.json) await printJson({ exported: result.kind === 'sent', endpoint: where, error });
  else if (error !== null) {
    await print(`${paint('red', 'not exported')} to ${where}: ${visible(error)}`);
    if (result.kind === 'no collector') {
      await print(
        'start a collector there, set telemetry.endpoint to yours, or set telemetry.enabled = false',
      );
    }
  } else
    await print(result.kind === 'sent' ? `exported to ${where}` : 'another process is exporting just now');
  return error === null ? 0 : 1;
}
