import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ConfigError } from '../config/load.ts';
import { leave } from '../hook/leave.ts';
import { StateUnusable } from '../state/unusable.ts';
import * as authCommand from './auth.ts';
import * as breakerCommand from './breaker.ts';
import * as cacheCommand from './cache.ts';
import * as configCommand from './config.ts';
import { CommandFailed, type GlobalOptions } from './context.ts';
import { doctor } from './doctor.ts';
import * as eventsCommand from './events.ts';
import { maintain } from './maintain.ts';
import * as metricsCommand from './metrics.ts';
import * as sessionsCommand from './sessions.ts';
import { status } from './status.ts';

const FAILED = 1;
const WRONG_USE = 2;

const ABOUT = `What an ocserv (OpenConnect VPN) server runs when a user connects or disconnects: it asks the portal whether the user may connect now, and keeps the VPN working safely when the portal is away.

ocserv calls it without arguments. In ocserv.conf:
  connect-script = /path/to/ocagent-hook
  disconnect-script = /path/to/ocagent-hook
  host-update-script = /path/to/ocagent-hook`;

const EXAMPLES = `
Examples:
  ocagent-hook config init                             write a configuration to fill in
  ocagent-hook config check                            name everything wrong with it
  ocagent-hook auth --user alice --client-ip 192.0.2.7 what a connect of alice would get now
  ocagent-hook status                                  breaker, cache, sessions and portal at a glance
  ocagent-hook cache invalidate --user alice           ask the portal anew at the next connect
  ocagent-hook doctor                                  check the whole installation, with cures
  ocagent-hook events status                           what the portal has not been told yet
  ocagent-hook maintain --quiet                        all periodic work, for cron: every minute

Exit status: 0 done (auth: allowed), 1 failed (auth: denied), 2 wrong use or unusable configuration.`;

/** The command line, for people and cron. Never loaded in hook mode. Leaves with the command's exit status. */
export async function runCommand(args: readonly string[]): Promise<void> {
  dropForeign();
  // A reader that left (`| head`) is no fault of ours.
  process.stdout.on('error', () => process.exit(FAILED));
  let code = 0;
  const program = build((exitCode) => {
    code = exitCode;
  });
  try {
    if (args.length === 0) {
      program.outputHelp({ error: true });
      process.exit(WRONG_USE);
    }
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    code = explain(error);
  }
  leave(code);
}

/** What the surroundings set for other programs, and libraries that are not loaded yet would go by. The launcher drops what Node itself reads. */
function dropForeign(): void {
  for (const name of Object.keys(process.env)) {
    if (/^(?:GRPC|OTEL)_|_proxy$/i.test(name)) delete process.env[name];
  }
}

function explain(error: unknown): number {
  const say = (text: string): void => {
    process.stderr.write(`ocagent-hook: ${text}\n`);
  };
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE;
  if (error instanceof ConfigError) {
    for (const problem of error.problems) say(problem);
    return WRONG_USE;
  }
  if (error instanceof StateUnusable) {
    say(`${error.message}; ${error.cure}`);
    return FAILED;
  }
  if (error instanceof CommandFailed) {
    say(error.message);
    return error.exitCode;
  }
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return FAILED;
}

type Run<O> = (options: O) => Promise<number>;

/** Every command is a declaration: name, what it does, its options, and the function that does it. */
function build(done: (exitCode: number) => void): Command {
  const program = new Command('ocagent-hook')
    .description(ABOUT)
    .version(process.env['OCAGENT_VERSION'] ?? '0.0.0', '-V, --version', 'print the version')
    .option('--config <file>', 'the configuration (else $OCAGENT_CONFIG, else /etc/ocagent-hook/config.toml)')
    .addHelpText('after', EXAMPLES)
    .helpOption('-h, --help', 'explain a command')
    .showHelpAfterError('(--help explains it)')
    .exitOverride();

  const command = <O extends GlobalOptions>(
    parent: Command,
    name: string,
    description: string,
    run: Run<O>,
    declare: (command: Command) => Command = (unchanged) => unchanged,
  ): Command =>
    declare(parent.command(name).description(description))
      .option('--json', 'print one JSON document')
      .action(async (_options: unknown, self: Command) => done(await run(self.optsWithGlobals<O>())));

  /** The same with arguments. */
  const commandOn = <O extends GlobalOptions>(
    parent: Command,
    name: string,
    description: string,
    run: (args: readonly string[], options: O) => Promise<number>,
    declare: (command: Command) => Command,
  ): Command =>
    declare(parent.command(name).description(description))
      .option('--json', 'print one JSON document')
      .action(async (args: string[], _options: unknown, self: Command) =>
        done(await run(args, self.optsWithGlobals<O>())),
      );

  const group = (name: string, description: string): Command =>
    program.command(name).description(description);
  const user = (of: Command): Command =>
    of.requiredOption('--user <name>', 'the user, exactly as ocserv names him');

  command(program, 'auth', 'decide as for a connect, without a session', authCommand.auth, (auth) =>
    user(auth)
      .option('--group <name>', "the user's group", '')
      .option('--client-ip <ip>', 'where the client comes from', '')
      .option('--vhost <name>', 'ocserv\'s virtual host (default: "default")')
      .option('--device-ip <ip>', "the client's address in the VPN", '')
      .option('--no-cache', 'pass over a fresh cached decision'),
  );

  const cache = group('cache', 'the decisions kept of the portal');
  const limited = (of: Command): Command =>
    of.option('--limit <count>', 'at most so many entries', count, 100);
  command(cache, 'stats', 'how many, how old, how often used', cacheCommand.stats);
  command(cache, 'list', 'the entries, the latest used first', cacheCommand.list, (list) =>
    limited(list.option('--user <name>', 'of this user only')),
  );
  command(cache, 'show', "one user's entries, whole", cacheCommand.show, (show) => limited(user(show)));
  command(cache, 'invalidate', "forget one user's decisions", cacheCommand.invalidate, user);
  command(cache, 'clear', 'forget all decisions', cacheCommand.clear);
  command(cache, 'cleanup', 'remove what is past its stale time (for cron)', cacheCommand.cleanup);

  const breaker = group('breaker', 'the circuit breaker, as every hook sees it');
  command(breaker, 'status', 'closed, open or half-open, and since when', breakerCommand.status);
  command(breaker, 'reset', 'close it: the portal is asked again at once', breakerCommand.resetBreaker);
  command(breaker, 'trip', 'open it: the portal is left alone for the timeout', breakerCommand.tripBreaker);

  const events = group('events', 'session events that the portal has not taken yet');
  const ids = (of: Command): Command =>
    of.argument('[ids...]', 'events by their ids').option('--failed', 'all that have failed');
  command(events, 'status', 'how many wait, and how their delivery goes', eventsCommand.status);
  command(events, 'list', 'the events, in the order in which they happened', eventsCommand.list, (list) =>
    limited(
      list.option('--failed', 'only those that were set aside').option('--user <name>', 'of this user only'),
    ),
  );
  command(
    events,
    'flush',
    'send all now, whatever back-off and breaker say; exit 1 if some are left',
    eventsCommand.flushEvents,
  );
  commandOn(
    events,
    'retry',
    'let events that were set aside wait for the portal again',
    eventsCommand.retry,
    ids,
  );
  commandOn(events, 'drop', 'give events up for ever', eventsCommand.dropEvents, ids);

  const sessions = group('sessions', 'sessions from connect to disconnect');
  command(sessions, 'list', 'the live ones, the latest first', sessionsCommand.list, (list) =>
    limited(list.option('--all', 'those that have ended, too').option('--user <name>', 'of this user only')),
  );
  command(
    sessions,
    'sync',
    'compare with ocserv, report traffic, end what the portal wants ended (for cron)',
    sessionsCommand.sync,
  );

  const metrics = group('metrics', 'the counters of all invocations so far');
  command(
    metrics,
    'show',
    "print them, or write them for node_exporter's textfile collector",
    metricsCommand.show,
    (show) =>
      show
        .addOption(
          new Option('--format <format>', 'how').choices(['prometheus', 'json']).default('prometheus'),
        )
        .option('--output <file>', 'into a file that is replaced as a whole'),
  );
  command(metrics, 'export', 'send them to telemetry.endpoint by OTLP/HTTP now', metricsCommand.exportNow);

  command(program, 'maintain', 'all periodic work in one run, for cron or a timer', maintain, (of) =>
    of.option('--quiet', 'print only what failed'),
  );

  const config = group('config', 'the configuration');
  command(config, 'check', 'name every error with its line and its cure', configCommand.check);
  command(config, 'show', 'print what is in force, defaults filled in, secrets masked', configCommand.show);
  command(config, 'init', 'write the documented example to start from', configCommand.init);

  command(program, 'doctor', 'check the whole installation, with a cure for each finding', doctor, (of) =>
    of.option('--ocserv-conf <file>', 'ocserv.conf, where it is not found by itself'),
  );

  command(
    program,
    'status',
    'breaker, cache, sessions and portal at a glance, what is wrong first',
    status,
    (of) =>
      of.addOption(
        new Option('--watch [seconds]', 'look again every so many seconds').preset('2').argParser(interval),
      ),
  );
  return program;
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('a whole number from 1 is needed');
  return Number(text);
}

function interval(text: string): number {
  const seconds = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds < 0.2) throw new InvalidArgumentError('seconds are needed, such as 2 or 0.5');
  return seconds;
}
