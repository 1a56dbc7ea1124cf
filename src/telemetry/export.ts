import { connect, type Socket } from 'node:net';
import type { Config } from '../config/schema.ts';
import { type ExportStatus, endExportTurn, exportStatus, takeExportTurn } from '../state/export-turn.ts';
import type { State } from '../state/state.ts';
import { takeSnapshot } from './snapshot.ts';

export type Exported =
  | { readonly kind: 'sent' }
  /** It was done less than the interval ago, or another process is at it. */
  | { readonly kind: 'not due' }
  /** Nobody listens, nor ever did: most likely there is no collector on this machine. */
  | { readonly kind: 'no collector'; readonly why: string }
  /** `before`: how it had gone so far. */
  | { readonly kind: 'failed'; readonly why: string; readonly before: ExportStatus };

/** An export takes `telemetry.timeout` at most; one that is this much later is one whose process was stopped. */
const MARGIN_MS = 5_000;

/**
 * Sends the counters of all invocations to the collector, by one process at a time. Never in a hook: loading OpenTelemetry alone takes
 * longer than a hook lives.
 * @param interval milliseconds that must have passed since the last export began.
 * @throws {StateUnusable}
 */
export async function exportMetrics(config: Config, state: State, interval: number): Promise<Exported> {
  const { timeout } = config.telemetry;
  // A state that is not there has counted nothing, and has no identity.
  if (!state.isThere) return { kind: 'not due' };
  const before = await state.read(exportStatus);
  const mine = await state.step((tx) => takeExportTurn(tx, interval, timeout + MARGIN_MS));
  if (state.unrecorded !== null) {
    return { kind: 'failed', why: `the state cannot be written: ${state.unrecorded}`, before };
  }
  if (!mine) return { kind: 'not due' };
  const { error, refused } = await attempt(config, state).catch((error: Error) => ({
    error: error.message,
    refused: false,
  }));
  await state.step((tx) => endExportTurn(tx, error));
  if (error === null) return { kind: 'sent' };
  if (refused && before.lastSuccess === null) return { kind: 'no collector', why: error };
  return { kind: 'failed', why: error, before };
}

async function attempt(config: Config, state: State): Promise<{ error: string | null; refused: boolean }> {
  const { endpoint, timeout } = config.telemetry;
  const end = performance.now() + timeout;
  // The library would take the whole timeout to see that nobody listens, and 40 ms of processor time to be loaded.
  const closed = await knock(new URL(endpoint), timeout);
  if (closed !== null) return { error: closed.why, refused: closed.code === 'ECONNREFUSED' };
  // Read once it is this process' turn, so that what arrives later is never older.
  const snapshot = await state.read((tx) => takeSnapshot(tx, config));
  const { send } = await import('./send.ts');
  return { error: await send(snapshot, config.telemetry, end - performance.now()), refused: false };
}

/** @returns null when somebody listens there. */
function knock(
  { hostname, port, protocol, host }: URL,
  timeout: number,
): Promise<{ code: string; why: string } | null> {
  return new Promise((resolve) => {
    const socket: Socket = connect({
      // A URL has brackets around an IPv6 address.
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || (protocol === 'https:' ? 443 : 80)),
    });
    const end = (closed: { code: string; why: string } | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(closed);
    };
    const timer = setTimeout(
      () => end({ code: 'ETIMEDOUT', why: `${host} cannot be reached: no connection within ${timeout} ms` }),
      timeout,
    );
    socket.on('connect', () => end(null));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? 'unknown';
      const why = code === 'ECONNREFUSED' ? `nobody listens on ${host}` : `${host} cannot be reached`;
      end({ code, why: `${why} (${code})` });
    });
  });
}
