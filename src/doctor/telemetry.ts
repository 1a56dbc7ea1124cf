import { shownUrl } from '../config/endpoint.ts';
import type { Answer, Unanswered } from './collector.ts';
import { type Finding, note, ok, warning } from './finding.ts';

const CHECK = 'telemetry';

const WHY =
  'the metrics do not arrive; they are cumulative, so that nothing is lost, and no connect depends on them';

/** telemetry.endpoint where nobody has set it. */
const DEFAULT_ENDPOINT = 'http://127.0.0.1:4318/v1/metrics';

/**
 * Whether the collector takes what is exported. It never decides a connect, so nothing here is broken.
 * @param endpoint telemetry.endpoint.
 * @param answer null where nothing is exported.
 * @param lastExport wall milliseconds of the last that was taken; null when none was; undefined where that cannot be seen.
 */
export function judgeTelemetry(
  endpoint: string,
  answer: Answer | null,
  lastExport: number | null | undefined,
): Finding[] {
  if (answer === null) return [ok(CHECK, 'telemetry.enabled = false')];
  const where = shownUrl(endpoint);
  if ('error' in answer) return [unanswered(endpoint, where, answer, lastExport)];
  const { status, said, isOtlp } = answer;
  const words = said === '' ? '' : `: ${said}`;
  if (status >= 200 && status < 300) {
    if (isOtlp) return [ok(CHECK, `${where} takes metrics (HTTP ${status})`)];
    const what = `what listens there is no OTLP collector: ${where} answers with HTTP ${status} and no JSON${words}`;
    return [warning(CHECK, what, WHY, 'see the host, the port and the path in telemetry.endpoint')];
  }
  const what = `${where} answers with HTTP ${status}${words}`;
  if (status === 429) return [note(CHECK, what, WHY, 'none is needed, unless it goes on: it is tried again')];
  return [warning(CHECK, what, WHY, cureOfStatus(status))];
}

function unanswered(
  endpoint: string,
  where: string,
  { error, code }: Unanswered,
  lastExport: number | null | undefined,
): Finding {
  if (code === 'ECONNREFUSED') {
    const what = `no collector listens on ${new URL(endpoint).host} (ECONNREFUSED)`;
    const cure = 'start a collector (OpenTelemetry Collector, port 4318), or set telemetry.enabled = false';
    // Who has neither named one nor ever had one has none, and misses nothing.
    const hasNone = endpoint === DEFAULT_ENDPOINT && lastExport === null;
    return (hasNone ? note : warning)(CHECK, what, WHY, cure);
  }
  const what = `${where} cannot be reached: ${error}${code === undefined ? '' : ` (${code})`}`;
  return warning(CHECK, what, WHY, cureOf(code));
}

function cureOf(code: string | undefined): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'see the name in telemetry.endpoint';
  if (code === 'ETIMEDOUT') return 'see the collector and the firewalls, or raise telemetry.timeout';
  if (code?.includes('CERT') || code?.startsWith('UNABLE_TO')) {
    return "see the collector's certificate: it must be signed by a CA that the system trusts";
  }
  return 'see telemetry.endpoint and the collector';
}

function cureOfStatus(status: number): string {
  if (status === 404 || status === 405) return 'see the path in telemetry.endpoint: usually /v1/metrics';
  if (status === 401 || status === 403) return 'see telemetry.headers: the collector wants other credentials';
  if (status === 415 || status === 400)
    return 'what listens there takes no OTLP as JSON: see telemetry.endpoint';
  if (status >= 300 && status < 400) return 'name the place that it redirects to in telemetry.endpoint';
  return 'see the log of the collector';
}
