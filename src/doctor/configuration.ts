import { existsSync, statSync } from 'node:fs';
import { ConfigError, loadConfig, UnreadableConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { broken, type Finding, note, ok, warning } from './finding.ts';
import { quoted } from './quoted.ts';

/** One thing about the configuration, why it matters and what to do. The loader's own errors hold their cure already. */
export interface Problem {
  readonly what: string;
  readonly why: string;
  readonly cure: string;
}

const NAME = 'configuration';
const EVERY_CONNECT_FAILS = 'a hook without its configuration refuses every connect (exit 2)';

/** `config` is null where the file cannot be used; what its portal.tls names may be wrong all the same. */
export interface Examined {
  readonly config: Config | null;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/**
 * All that is wrong with the configuration and the files that it names.
 * @throws {UnreadableConfig} when there is nothing that can be read.
 */
export async function examine(file: string): Promise<Examined> {
  try {
    const config = await loadConfig(file);
    const files = await tlsFiles(config);
    const warnings = [...readableByAll(file, 'chmod 0640'), ...files.warnings];
    return { config, errors: files.errors, warnings };
  } catch (error) {
    if (error instanceof UnreadableConfig || !(error instanceof ConfigError)) throw error;
    const errors = error.problems.map((what) => ({ what, why: EVERY_CONNECT_FAILS, cure: '' }));
    return { config: null, errors, warnings: [] };
  }
}

/** What portal.tls names must be there and go together, or no connect will ever reach the portal. */
async function tlsFiles({ portal: { tls } }: Config): Promise<{ errors: Problem[]; warnings: Problem[] }> {
  if (!tls.enabled) {
    const clear = {
      what: 'portal.tls.enabled = false: decisions travel in the clear',
      why: 'whoever is on the way reads who connects, and can answer in the place of the portal',
      cure: 'set portal.tls.enabled = true',
    };
    return { errors: [], warnings: [clear] };
  }
  const { tlsFaults } = await import('../portal/credentials.ts');
  const errors = tlsFaults(tls).map(({ detail, cure }) => ({
    what: detail,
    why: 'no connect can reach the portal with these files',
    cure,
  }));
  return { errors, warnings: tls.key_file === '' ? [] : readableByAll(tls.key_file, 'chmod 0600') };
}

function readableByAll(file: string, chmod: string): Problem[] {
  if (!isReadableByAll(file)) return [];
  const why = 'any program on this machine can read it';
  return [{ what: `${file} can be read by everybody`, why, cure: `${chmod} ${quoted(file)}` }];
}

function isReadableByAll(file: string): boolean {
  try {
    return (statSync(file).mode & 0o004) !== 0;
  } catch {
    // It is not there, or in a folder that is closed to us; whoever needs it says so.
    return false;
  }
}

export interface Configured {
  /** Null where it cannot be used. */
  readonly config: Config | null;
  /** The files of portal.tls are such that the portal can be called. */
  readonly canCall: boolean;
  readonly findings: readonly Finding[];
}

/** The configuration as findings, and itself. Never throws for what is wrong with it. */
export async function checkConfiguration(file: string): Promise<Configured> {
  try {
    const { config, errors, warnings } = await examine(file);
    const hidden = errors.filter(isHidden);
    const wrong = errors.filter((problem) => !hidden.includes(problem));
    const findings = [
      ...hidden.map(({ what }) => notSeen(what)),
      ...wrong.map(({ what, why, cure }) =>
        broken(NAME, what, why, cure || `edit ${file}, then run ocagent-hook config check`),
      ),
      ...warnings.map(({ what, why, cure }) => warning(NAME, what, why, cure)),
    ];
    const canCall = errors.length === 0;
    if (config === null) return { config, canCall, findings };
    if (wrong.length === 0) findings.push(ok(NAME, `${file} is valid`));
    return { config, canCall, findings: [...findings, ...riskySettings(config)] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const findings = error.problems.map((what) => {
      if (isHidden({ what })) return notSeen(what);
      return broken(NAME, what, EVERY_CONNECT_FAILS, unreadableCure(file));
    });
    return { config: null, canCall: false, findings };
  }
}

/** Configuration and key are root's: that others may not read them is as it should be. */
function isHidden({ what }: Pick<Problem, 'what'>): boolean {
  return process.geteuid?.() !== 0 && /: permission denied(;|$)/.test(what);
}

function notSeen(what: string): Finding {
  // Of the loader's own cures ours is one.
  const [denied] = what.split(';');
  return note(
    NAME,
    `not checked: ${denied}`,
    'what cannot be looked at may be broken',
    'run ocagent-hook doctor as root',
  );
}

function unreadableCure(file: string): string {
  if (existsSync(file)) return `see what it is, and its mode: ls -l ${quoted(file)}`;
  return 'as root: ocagent-hook config init';
}

/** Settings that are meant for a while, or for few. */
function riskySettings({ hook, resilience, events }: Config): Finding[] {
  const findings: Finding[] = [];
  if (hook.mode === 'observe') {
    findings.push(
      warning(
        'hook.mode',
        'OBSERVE MODE: EVERYBODY IS LET IN, whatever the portal decides',
        'it is meant for a roll-out: denials are logged and not carried out',
        'set hook.mode = "enforce" once the decisions in the log are right',
      ),
    );
  }
  const { emergency_users, fail_mode } = resilience;
  if (emergency_users.length > 0) {
    findings.push(
      note(
        'resilience.emergency_users',
        `${emergency_users.length} emergency user(s): ${emergency_users.join(', ')}`,
        'they get in whenever the portal cannot be asked, also when it has just denied them',
        'keep the list short: only those who must mend the portal',
      ),
    );
  }
  if (fail_mode === 'open') {
    findings.push(
      warning(
        'resilience.fail_mode',
        'fail_mode = "open": everybody gets in while the portal cannot be asked',
        'whoever can keep the portal away lets people in whom it would deny',
        'set resilience.fail_mode = "stale" unless that is meant',
      ),
    );
  }
  if (!events.enabled) {
    findings.push(
      note(
        'events.enabled',
        'events.enabled = false: the portal is not told of sessions',
        'it can neither account for them nor end them',
        'set events.enabled = true',
      ),
    );
  }
  return findings;
}
