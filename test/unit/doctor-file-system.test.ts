import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeFileSystem } from '../../src/doctor/file-system.ts';

const MIB = 1024 * 1024;
const EXT4 = {
  type: 0xef53,
  bsize: 4_096,
  bfree: 1_000_000,
  bavail: 1_000_000,
  files: 500_000,
  ffree: 400_000,
};

const levels = (stats: Partial<typeof EXT4>) =>
  judgeFileSystem('/var/lib/x', { ...EXT4, ...stats }).map(({ check, level }) => `${check} ${level}`);

describe("the state's file system", () => {
  test('is all right when it is local and has room', () => {
    assert.deepEqual(levels({}), ['state.file_system ok', 'state.space ok']);
  });

  for (const [name, type] of [
    ['NFS', 0x6969],
    ['CIFS', 0xff534d42],
    ['CIFS, as a signed number', 0xff534d42 | 0],
    ['SMB2', 0xfe534d42],
    ['9p', 0x01021997],
    ['Ceph', 0x00c36400],
    ['Lustre', 0x0bd00bd0],
    ['GFS2', 0x01161970],
    ['OCFS2', 0x7461636f],
    ['AFS', 0x5346414f],
    ["AFS of the kernel's", 0x6b414653],
  ] as const) {
    test(`is broken over a network: ${name}`, () => {
      assert.equal(levels({ type })[0], 'state.file_system broken');
      const [finding] = judgeFileSystem('/srv', { ...EXT4, type });
      assert.match(finding?.what ?? '', new RegExp(`/srv is on ${name.split(',')[0]?.split(' ')[0]}`));
    });
  }

  for (const [name, type] of [
    ['FUSE', 0x65735546],
    ['tmpfs', 0x01021994],
    ['ramfs', 0x858458f6],
    ['ramfs, as a signed number', 0x858458f6 | 0],
  ] as const) {
    test(`is a warning where it may be no disk at all: ${name}`, () => {
      assert.equal(levels({ type })[0], 'state.file_system warning');
    });
  }

  for (const [free, level] of [
    [16 * MIB - 4_096, 'broken'],
    [16 * MIB, 'warning'],
    [256 * MIB - 4_096, 'warning'],
    [256 * MIB, 'ok'],
  ] as const) {
    test(`with ${free} bytes left is ${level}`, () => {
      const blocks = free / 4_096;
      assert.equal(levels({ bfree: blocks, bavail: blocks })[1], `state.space ${level}`);
    });
  }

  test('with only what is kept for root left is a warning: ocserv runs hooks as root', () => {
    assert.equal(levels({ bavail: 0 })[1], 'state.space warning');
  });

  for (const [ffree, level] of [
    [15, 'broken'],
    [16, 'warning'],
    [999, 'warning'],
    [1_000, 'ok'],
  ] as const) {
    test(`with ${ffree} inodes left is ${level}`, () => {
      assert.equal(levels({ ffree })[1], `state.space ${level}`);
    });
  }

  test('may have no inodes to count, as Btrfs', () => {
    assert.equal(levels({ files: 0, ffree: 0 })[1], 'state.space ok');
  });
});
