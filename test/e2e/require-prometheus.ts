import { spawnSync } from 'node:child_process';
import { toolEnvironment } from '../../scripts/vpn/run.ts';

/** As Debian calls them. */
const TOOLS = ['promtool', 'prometheus', 'prometheus-node-exporter'] as const;

const missing = TOOLS.filter(
  (tool) => spawnSync(tool, ['--version'], { env: toolEnvironment() }).status !== 0,
);

/**
 * For the `skip` option of tests that need Prometheus: false, or the reason why none can run here. On a build server
 * nobody reads a list of skipped tests, so there (CI=true) that is a failure.
 */
export const noPrometheus: string | false =
  missing.length === 0
    ? false
    : `missing: ${missing.join(', ')} (scripts/deploy/install.sh installs Prometheus and its node_exporter)`;

if (noPrometheus !== false && process.env['CI'] === 'true') {
  throw new Error(`the tests of alerts and dashboard must run on a build server: ${noPrometheus}`);
}
