import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { atExit } from '../../scripts/vpn/at-exit.ts';
import { toolEnvironment } from '../../scripts/vpn/run.ts';
import { type Running, start } from '../../scripts/vpn/running.ts';
import { createWorkFolder } from '../../scripts/vpn/work-folder.ts';

/** One series of an answer, now. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface RuleGroup {
  readonly file: string;
  readonly rules: ReadonlyArray<{
    readonly name: string;
    readonly query: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly lastError?: string;
    readonly alerts: readonly Alert[];
  }>;
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: 'pending' | 'firing';
}

/** A real node_exporter that serves a folder of *.prom files and nothing else, and a real Prometheus that scrapes it. */
export interface MetricsStack extends AsyncDisposable {
  /** What node_exporter serves at this moment. */
  exposed(): Promise<string>;
  /** @throws with Prometheus' own words where it does not understand the expression. */
  query(expr: string): Promise<Sample[]>;
  /** Resolves with the answer once it is as wanted; by default, once there is one. */
  until(expr: string, wanted?: (samples: readonly Sample[]) => boolean, timeout?: number): Promise<Sample[]>;
  rules(): Promise<RuleGroup[]>;
  /** To be gone once this is disposed of. */
  readonly pids: readonly number[];
  readonly folder: string;
}

/** The labels that Prometheus gives to every series. */
export const TARGET = { job: 'node', instance: 'vpn-1' } as const;

const POLL_MS = 100;

export async function startMetricsStack(options: {
  /** Of the *.prom files. */
  textfiles: string;
  /** Files of rules. */
  rules: readonly string[];
}): Promise<MetricsStack> {
  const folder = await createWorkFolder();
  const running: Running[] = [];
  const callOff = atExit(() => {
    for (const process of running) process.signal('SIGKILL');
  });
  const close = async (): Promise<void> => {
    await Promise.all(
      running.map((process) => (process.running ? process.end('SIGTERM', 10_000) : undefined)),
    );
    callOff();
    await folder.remove();
  };
  /** Port 0 is any that is free; the program says which one it got. */
  const serve = async (argv: [string, ...string[]]): Promise<string> => {
    const process = await start([...argv, '--web.listen-address=127.0.0.1:0'], {
      env: toolEnvironment(),
      cwd: folder.path,
    });
    running.push(process);
    const { match } = await process.log.waitFor(/msg="Listening on".* address=(\S+)/, 20_000);
    return match[1] ?? '';
  };

  try {
    const exporter = await serve([
      'prometheus-node-exporter',
      '--collector.disable-defaults',
      '--collector.textfile',
      `--collector.textfile.directory=${options.textfiles}`,
      '--web.disable-exporter-metrics',
    ]);
    const config = join(folder.path, 'prometheus.yml');
    await writeFile(config, JSON.stringify(configuration(exporter, options.rules)));
    const data = join(folder.path, 'data');
    await mkdir(data);
    const prometheus = await serve(['prometheus', `--config.file=${config}`, `--storage.tsdb.path=${data}`]);
    await ready(`http://${prometheus}/-/ready`);
    return {
      exposed: async () => await (await fetch(`http://${exporter}/metrics`)).text(),
      query: (expr) => query(prometheus, expr),
      until: async (expr, wanted = (samples) => samples.length > 0, timeout = 20_000) => {
        const deadline = performance.now() + timeout;
        // Nobody tells a stranger of a scrape.
        for (;;) {
          const samples = await query(prometheus, expr);
          if (wanted(samples)) return samples;
          if (performance.now() > deadline) {
            throw new Error(`${expr} is still ${JSON.stringify(samples)} after ${timeout} ms`);
          }
          await delay(POLL_MS);
        }
      },
      rules: async () => (await api<{ groups: RuleGroup[] }>(prometheus, 'rules')).groups,
      pids: running.map(({ pid }) => pid),
      folder: folder.path,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** JSON is YAML. */
function configuration(exporter: string, rules: readonly string[]): unknown {
  return {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: rules,
    scrape_configs: [
      {
        job_name: TARGET.job,
        static_configs: [{ targets: [exporter], labels: { instance: TARGET.instance } }],
      },
    ],
  };
}

async function ready(url: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await fetch(url)).ok) {
    if (performance.now() > deadline) throw new Error(`${url} is not ready`);
    await delay(POLL_MS);
  }
}

async function query(address: string, expr: string): Promise<Sample[]> {
  const { result } = await api<{
    result: Array<{ metric: Record<string, string>; value: [number, string] }>;
  }>(address, `query?${new URLSearchParams({ query: expr })}`);
  return result.map(({ metric, value }) => ({ labels: metric, value: numberOf(value[1]) }));
}

/** Prometheus writes +Inf, -Inf and NaN. */
function numberOf(text: string): number {
  return Number(text.replace('Inf', 'Infinity'));
}

async function api<Data>(address: string, path: string): Promise<Data> {
  const response = await fetch(`http://${address}/api/v1/${path}`);
  const answer = (await response.json()) as { status: string; error?: string; data: Data };
  if (answer.status !== 'success') throw new Error(`Prometheus answers ${path}: ${answer.error}`);
  return answer.data;
}
