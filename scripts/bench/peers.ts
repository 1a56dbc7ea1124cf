import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateFiles } from '../portal/certificates.ts';
import { GROUP } from './population.ts';
import type { BenchPortal } from './portal.ts';
import type { Command } from './timed.ts';

/** Another way to ask the portal. Each exits with 0 when it says yes, 1 when no, 2 for anything else. */
export interface Peer {
  readonly name: string;
  readonly command: Command;
}

export interface Peers {
  readonly ready: readonly Peer[];
  /** A line for each that is not there. */
  readonly missing: readonly string[];
}

const SOURCES = join(import.meta.dirname, 'peers');
/** Debian's own: another one that comes first in PATH has not its modules. */
const PYTHON = '/usr/bin/python3';
const GOPATH = '/usr/share/gocode';

/** Those whose packages are installed (make bench-peers). Go's is compiled into `folder`. */
export function readyPeers(folder: string): Peers {
  const all = [
    { name: 'naive Node client', packages: '', command: naive() },
    { name: 'bash + curl', packages: 'curl', command: curl() },
    { name: 'Python grpcio', packages: 'python3-grpcio', command: python() },
    { name: 'Go client', packages: 'golang-go and golang-google-grpc-dev', command: go(folder) },
  ];
  return {
    ready: all.flatMap(({ name, command }) => (command === null ? [] : [{ name, command }])),
    missing: all
      .filter(({ command }) => command === null)
      .map(({ name, packages }) => `${name}: skipped, install ${packages} (Debian; make bench-peers)`),
  };
}

/** What a peer reads besides what ocserv sets. */
export function peerEnvironment({
  certificates,
  portal,
}: {
  readonly certificates: CertificateFiles;
  readonly portal: BenchPortal;
}): Record<string, string> {
  return { PORTAL: portal.address, CERTIFICATES: certificates.directory, GROUPNAME: GROUP };
}

function naive(): Command {
  return [process.execPath, join(SOURCES, 'naive.cjs')];
}

function curl(): Command | null {
  return works('curl', '--version') ? ['bash', join(SOURCES, 'curl.bash')] : null;
}

function python(): Command | null {
  return works(PYTHON, '-c', 'import grpc') ? [PYTHON, join(SOURCES, 'check.py')] : null;
}

function go(folder: string): Command | null {
  if (!existsSync(join(GOPATH, 'src/google.golang.org/grpc')) || !works('go', 'version')) return null;
  const program = join(folder, 'check-go');
  execFileSync('go', ['build', '-o', program, join(SOURCES, 'check.go')], {
    env: { ...process.env, GO111MODULE: 'off', GOPATH, GOCACHE: join(folder, 'go-cache') },
    stdio: 'inherit',
  });
  return [program];
}

function works(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
