import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Bench, Found } from './bench.ts';
import { connect, told } from './hooks.ts';
import { type Installation, install } from './installation.ts';
import { interleave, ratioTable } from './measure.ts';
import { endProcesses } from './workplace.ts';

/** Nobody listens there: a connection is refused at once. */
const NOBODY = 'http://127.0.0.1:1/v1/metrics';

/**
 * Cached connects beside a collector that hangs, is not there, or answers 503: only the drains that they start may meet it, so none may cost
 * more than without telemetry. Each kind has an installation of its own, whose drains export every second.
 */
export async function measureTelemetry({
  folder,
  certificates,
  portal,
  rounds,
  empty,
}: Bench): Promise<Found> {
  const hanging = await collector(() => {});
  const sick = await collector((_request, response) => response.writeHead(503).end());
  const cached = (name: string, telemetry: string): Installation => {
    const installation = install(join(folder, name), certificates);
    installation.configure({ portal: portal.address, events: true, telemetry });
    return installation;
  };
  const at = (endpoint: string): string => `endpoint = "${endpoint}"\ninterval = "1s"\ntimeout = "1s"`;
  const kinds = [
    { name: 'telemetry off', installation: cached('off', 'enabled = false') },
    { name: 'no collector', installation: cached('nobody', at(NOBODY)) },
    { name: 'collector hangs', installation: cached('hanging', at(hanging.endpoint)), seen: hanging },
    { name: 'collector answers 503', installation: cached('sick', at(sick.endpoint)), seen: sick },
  ];
  const rows = kinds.map(({ name, installation }) => ({
    name: `cached connect, ${name}`,
    run: (round: number) => connect(installation, round),
  }));
  try {
    const table = ratioTable('With a collector in trouble', await interleave([empty, ...rows], rounds));
    const notes = kinds.map(({ name, installation, seen }) => {
      if (seen?.requests === 0) throw new Error(`${name}: no drain has exported anything`);
      const exported = seen === undefined ? '' : `, ${seen.requests} requests at the collector`;
      return told(name, installation) + exported;
    });
    return { tables: [{ ...table, notes: [notes.join('; ')] }] };
  } finally {
    // A drain that outlives its collector would log that it is gone.
    endProcesses(folder);
    hanging.end();
    sick.end();
  }
}

interface Collector {
  readonly endpoint: string;
  readonly requests: number;
  end(): void;
}

async function collector(serve: RequestListener): Promise<Collector> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    request.resume();
    serve(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}/v1/metrics`,
    get requests() {
      return requests;
    },
    end() {
      server.close();
      server.closeAllConnections();
    },
  };
}
