import type { Network } from './network.ts';

export type Scripts = { connect?: string; disconnect?: string; hostUpdate?: string };

export type ServerOptions = {
  /** The executables that ocserv runs, by absolute path. */
  scripts: Scripts;
  /** What ocserv's scripts inherit besides PATH, e.g. OCAGENT_CONFIG. */
  environment?: Readonly<Record<string, string>>;
  /** Folders that come first on ocserv's PATH, and so on its scripts'. */
  path?: readonly string[];
  /** Data over DTLS too, not TLS alone: what host-update-script waits for. */
  dtls?: boolean;
  /** Further lines of ocserv.conf; a single-valued setting here wins over the one written below. */
  extra?: readonly string[];
};

/** Where everything of one server lies in its work folder. */
export type ServerFiles = ReturnType<typeof serverFiles>;

export function serverFiles(folder: string) {
  return {
    folder,
    config: `${folder}/ocserv.conf`,
    passwords: `${folder}/passwd`,
    authority: `${folder}/ca.crt`,
    certificate: `${folder}/server.crt`,
    key: `${folder}/server.key`,
    workerSocket: `${folder}/worker.sock`,
    occtlSocket: `${folder}/occtl.sock`,
  };
}

/** The text of ocserv.conf: what the Debian file says where it matters, without what would slow or ban a test. */
export function serverConfig(
  files: ServerFiles,
  network: Network,
  method: 'password' | 'certificate',
  { scripts, dtls = false, extra = [] }: Omit<ServerOptions, 'environment' | 'path'>,
): string {
  const auth =
    method === 'password'
      ? [`auth = "plain[passwd=${files.passwords}]"`]
      : ['auth = "certificate"', 'cert-user-oid = 2.5.4.3', 'cert-group-oid = 2.5.4.11'];
  const ours = [
    ...auth,
    `listen-host = ${network.serverAddress}`,
    'tcp-port = 443',
    ...(dtls ? ['udp-port = 443'] : []),
    'run-as-user = nobody',
    'run-as-group = nogroup',
    `socket-file = ${files.workerSocket}`,
    `occtl-socket-file = ${files.occtlSocket}`,
    'use-occtl = true',
    // The seccomp filter of isolated workers knows the kernels of its own day only.
    'isolate-workers = false',
    `ca-cert = ${files.authority}`,
    `server-cert = ${files.certificate}`,
    `server-key = ${files.key}`,
    'max-clients = 0',
    'max-same-clients = 0',
    'max-ban-score = 0',
    'rate-limit-ms = 0',
    'cookie-timeout = 300',
    'auth-timeout = 240',
    'keepalive = 32400',
    'dpd = 90',
    'device = vpns',
    'predictable-ips = true',
    'ipv4-network = 10.200.0.0/16',
    'route = 10.201.0.0/255.255.0.0',
    'dns = 10.200.0.1',
    'ping-leases = false',
    'cisco-client-compat = true',
    // 2 is the first level that tells why a session ended, 4 tells of scripts and their status.
    'log-level = 4',
    ...(scripts.connect ? [`connect-script = ${scripts.connect}`] : []),
    ...(scripts.disconnect ? [`disconnect-script = ${scripts.disconnect}`] : []),
    ...(scripts.hostUpdate ? [`host-update-script = ${scripts.hostUpdate}`] : []),
  ];
  const said = new Set(extra.map(nameOf));
  return `${[...ours.filter((line) => !said.has(nameOf(line))), ...extra].join('\n')}\n`;
}

function nameOf(line: string): string {
  return (line.split('=')[0] ?? '').trim();
}
