import type { StatsFs } from 'node:fs';
import { broken, type Finding, ok, warning } from './finding.ts';
import { quoted } from './quoted.ts';

/** statfs(2), `f_type`. Over a network SQLite's locks and its shared memory do not hold between machines, and a hang has no end. */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9p'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x786f4256, 'vboxsf'],
  [0x19830326, 'BeeGFS'],
  [0x47504653, 'GPFS'],
]);
const FUSE = 0x65735546;
const IN_MEMORY: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
]);

const MIB = 1024 * 1024;
const BROKEN_UNDER = 16 * MIB;
const WARNING_UNDER = 256 * MIB;
const INODES_BROKEN_UNDER = 16;
const INODES_WARNING_UNDER = 1_000;

/** What kind of file system that is, and what is left of it. */
export function judgeFileSystem(
  folder: string,
  stats: Pick<StatsFs, 'type' | 'bsize' | 'bfree' | 'bavail' | 'files' | 'ffree'>,
): Finding[] {
  return [kindOf(folder, stats.type >>> 0), spaceOf(folder, stats)];
}

function kindOf(folder: string, type: number): Finding {
  const check = 'state.file_system';
  const cure = 'set state.path to a folder on a local disk, and move the files there while ocserv is stopped';
  const network = NETWORK.get(type);
  if (network !== undefined) {
    const why =
      'SQLite corrupts over a network, and a server that hangs holds every connect up past its deadline';
    return broken(check, `${folder} is on ${network}, a network file system`, why, cure);
  }
  if (type === FUSE) {
    const why =
      'where it leads over a network, SQLite corrupts and connects hang; many lack the locks that it needs';
    return warning(check, `${folder} is on a FUSE file system`, why, cure);
  }
  const memory = IN_MEMORY.get(type);
  if (memory !== undefined) {
    const why = 'undelivered accounting, sessions and decisions are lost at the next reboot';
    return warning(check, `${folder} is on ${memory}, in memory`, why, cure);
  }
  return ok(check, `${folder} is on a local file system`);
}

function spaceOf(
  folder: string,
  { bsize, bfree, bavail, files, ffree }: Pick<StatsFs, 'bsize' | 'bfree' | 'bavail' | 'files' | 'ffree'>,
): Finding {
  const check = 'state.space';
  const why = 'a full disk keeps decisions, sessions and accounting from being recorded';
  const cure = `free some: df -h ${quoted(folder)}; df -i ${quoted(folder)}`;
  // Root, whom ocserv runs its scripts as, may use what is kept back from others; but that it must is a sign.
  const usable = bfree * bsize;
  const left = `${Math.floor(usable / MIB)} MiB free under ${folder}`;
  if (usable < BROKEN_UNDER) return broken(check, left, why, cure);
  // Some file systems make inodes as they need them, and say that they have none.
  if (files > 0 && ffree < INODES_BROKEN_UNDER) {
    return broken(check, `${ffree} files can still be made under ${folder}: no inodes are left`, why, cure);
  }
  if (bavail * bsize < WARNING_UNDER) {
    return warning(check, `${Math.floor((bavail * bsize) / MIB)} MiB free under ${folder}`, why, cure);
  }
  if (files > 0 && ffree < INODES_WARNING_UNDER) {
    return warning(check, `only ${ffree} files can still be made under ${folder} (inodes)`, why, cure);
  }
  return ok(check, left);
}
