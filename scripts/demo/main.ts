/**
 * The demo: a portal that goes and comes back, and what the users of a VPN notice of it.
 *
 *   node scripts/demo/main.ts          (make demo builds first, and installs what is missing)
 *   OCAGENT_DEMO_WITHOUT_VPN=1 …       calls the hook itself, as it does where no ocserv can run
 *   … --metrics FILE                   keeps FILE current with the metrics, for node_exporter's textfile collector
 */
import { parseArgs } from 'node:util';
import { HOOK } from '../stage/installation.ts';
import { vpnAvailable } from '../vpn/prerequisites.ts';
import { run } from '../vpn/run.ts';
import { directStage } from './direct-stage.ts';
import { keepingMetricsFile } from './metrics-file.ts';
import { Narrator, paint } from './narrator.ts';
import { RULES, type Stage } from './stage.ts';
import { NotAsItShouldBe, Steps } from './steps.ts';
import { tellStory } from './story.ts';
import { vpnStage } from './vpn-stage.ts';

function whyNoVpn(): string | null {
  if (process.env['OCAGENT_DEMO_WITHOUT_VPN'] === '1') return 'OCAGENT_DEMO_WITHOUT_VPN is set';
  const availability = vpnAvailable();
  return availability.ok ? null : availability.reason;
}

/** A hook that is not built refuses everybody, which would be a strange demo. */
async function versionOfHook(): Promise<string> {
  const { status, stdout, stderr } = await run([HOOK, '--version']);
  if (status !== 0) throw new NotAsItShouldBe(stderr.trim());
  return stdout.trim();
}

function introduce(narrator: Narrator, version: string, { description }: Stage): void {
  const rows: (readonly [string, string])[] = [
    ['hook', `${HOOK}, version ${version}`],
    ...description,
    ['rules', `a decision is fresh for ${RULES.ttlSeconds} s, and stale for half an hour (fail mode stale)`],
    ['', `${RULES.threshold} failures open the breaker for ${RULES.openSeconds} s;`],
    ['', `${RULES.trials} trial calls that go well close it`],
  ];
  for (const [name, text] of rows) narrator.say(`  ${paint('dim', name.padEnd(9))}${text}`);
}

async function play(metrics: string | undefined): Promise<void> {
  const narrator = new Narrator();
  narrator.say(
    paint('bold', 'ocagent-hook asks a portal about every VPN connect, and survives its absence.'),
  );
  narrator.say(
    'This starts a portal and a VPN server, lets users connect, stops the portal and brings it back.',
  );
  narrator.say('It takes about 15 seconds, shows seconds since its start, and leaves nothing behind.\n');
  const version = await versionOfHook();
  const obstacle = whyNoVpn();
  if (obstacle !== null) {
    const instead = `: no ocserv here (${obstacle}), so the hook is called as ocserv would call it.\n`;
    narrator.say(`${paint('yellow', 'Without a VPN')}${instead}`);
  }
  const stage = await (obstacle === null ? vpnStage() : directStage());
  try {
    introduce(narrator, version, stage);
    const steps = new Steps(stage, narrator);
    const tell = () => tellStory(steps);
    await (metrics === undefined ? tell() : keepingMetricsFile(metrics, stage.installation, tell));
    const done = `All ${steps.count} steps were as they should be, in ${Math.round(narrator.seconds)} s.`;
    narrator.say(paint('green', done));
  } finally {
    await stage.close();
  }
}

// Who reads along is gone: then the rest is of no use, and what was made is removed on the way out.
process.stdout.on('error', () => process.exit(1));

try {
  const { values } = parseArgs({ options: { metrics: { type: 'string' } } });
  await play(values.metrics);
} catch (error) {
  const expected = error instanceof NotAsItShouldBe;
  process.stderr.write(
    `\ndemo: ${expected ? error.message : error instanceof Error ? error.stack : error}\n`,
  );
  process.exitCode = 1;
}
