import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { formatDuration } from '../config/duration.ts';
import type { Config } from '../config/schema.ts';
import { longestConnect } from '../hook/turn.ts';
import { broken, type Finding, note, ok, warning } from './finding.ts';
import { isTrue, type OcservConf } from './ocserv-conf.ts';

/** Seconds; what ocserv takes where the file says nothing (1.1.6), and what Debian's file says. */
const DEFAULT_AUTH_TIMEOUT = 1_800;
const USUAL_AUTH_TIMEOUT = 240;
const DEFAULT_OCCTL_SOCKET = '/var/run/occtl.socket';
/** Logging in takes a part of it: a person types, a second factor comes. */
const TO_LOG_IN_SECONDS = 10;
/** The first that says why a session ended. */
const TELLING_LOG_LEVEL = 2;

type Value = (name: string) => string | undefined;

/** What else in ocserv.conf bears on us. */
export function judgeSettings(file: string, { settings }: OcservConf, config: Config | null): Finding[] {
  const value = (name: string): string | undefined => settings.get(name)?.value;
  return [
    ...(config === null ? [] : [authTimeout(file, value, config.hook.deadline)]),
    logLevel(file, value),
    ...control(file, value, config),
  ];
}

function authTimeout(file: string, value: Value, deadline: number): Finding {
  const check = 'ocserv.auth-timeout';
  const given = value('auth-timeout');
  // As strtol(3) reads it.
  const seconds = given === undefined ? DEFAULT_AUTH_TIMEOUT : Number.parseInt(given, 10) || 0;
  const why =
    'ocserv ends a connect-script that takes longer, and refuses the client before the fail mode answers';
  const cure = `in ${file}: auth-timeout = ${USUAL_AUTH_TIMEOUT}; or lower hook.deadline`;
  const what = `auth-timeout is ${seconds} s, and hook.deadline ${formatDuration(deadline)}`;
  if (seconds <= 0) {
    // No bound for one login, but main's round (every 900 s) takes each for overdue that is on its way: src/main.c of 1.1.2.
    const now = 'every 15 minutes ocserv ends all logins that are on their way';
    return warning(
      check,
      `auth-timeout is ${given}`,
      now,
      `in ${file}: auth-timeout = ${USUAL_AUTH_TIMEOUT}`,
    );
  }
  if (seconds * 1_000 <= deadline) return broken(check, what, why, cure);
  if ((seconds - TO_LOG_IN_SECONDS) * 1_000 < deadline) {
    return warning(check, what, `${why}; logging in counts as well`, cure);
  }
  const longest = longestConnect(deadline);
  if ((seconds - TO_LOG_IN_SECONDS) * 1_000 < longest) {
    const busy = `on a busy machine a connect waits for its turn before that, and takes up to ${formatDuration(longest)} in all`;
    return warning(check, what, `${why}; ${busy}`, cure);
  }
  return ok(check, what);
}

function logLevel(file: string, value: Value): Finding {
  const check = 'ocserv.log-level';
  // Unset it is 0.
  const level = Number.parseInt(value('log-level') ?? '0', 10) || 0;
  if (level >= TELLING_LOG_LEVEL) return ok(check, `log-level is ${level}`);
  return note(
    check,
    `log-level is ${level}: ocserv does not log why sessions end`,
    'of a refusal it says little as well: our own log is the only trace of its reason',
    `in ${file}: log-level = ${TELLING_LOG_LEVEL} (3 logs what each script came to, too)`,
  );
}

/** occtl, and that we ask at the socket which that ocserv listens on. */
function control(file: string, value: Value, config: Config | null): Finding[] {
  const check = 'ocserv.occtl';
  const why = 'sessions are not compared with ocserv, have no traffic, and cannot be ended by the portal';
  // Without the line ocserv opens no socket.
  if (!isTrue(value('use-occtl'))) {
    return [
      broken(
        check,
        `${file} has use-occtl = ${value('use-occtl') ?? 'false, as it is where nothing is said'}`,
        why,
        `in ${file}: use-occtl = true`,
      ),
    ];
  }
  if (config === null) return [];
  const theirs = value('occtl-socket-file') ?? DEFAULT_OCCTL_SOCKET;
  const ours = config.ocserv.occtl_socket || DEFAULT_OCCTL_SOCKET;
  if (place(theirs) === place(ours)) return [ok(check, `occtl and ocserv meet at ${theirs}`)];
  return [
    broken(
      check,
      `${file} has occtl-socket-file ${theirs}, and ocserv.occtl_socket is ${ours}`,
      why,
      `set ocserv.occtl_socket = ${JSON.stringify(theirs)}`,
    ),
  ];
}

/** /var/run is a link to /run; the socket itself is there only while ocserv runs. */
function place(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}
