import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ClosingLogs } from '../../src/drain/closing-logs.ts';
import { DEFAULT_LOG, Log } from '../../src/log/log.ts';

/** A named pipe that is full, as of a reader that hangs. */
function fullPipe(t: TestContext): { fd: number; read(): string } {
  const folder = mkdtempSync(join(tmpdir(), 'ocagent-logs-'));
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => {
    closeSync(reader);
    rmSync(folder, { recursive: true });
  });
  const fd = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  assert.throws(() => {
    for (;;) writeSync(fd, Buffer.alloc(4_096));
  }, /EAGAIN/);
  const read = (): string => {
    const bytes = Buffer.alloc(1 << 20);
    return bytes.toString('utf8', 0, readSync(reader, bytes));
  };
  return { fd, read };
}

describe('logs of calls that are over', () => {
  test('are waited for until their lines are out, or for as long as is said', async (t) => {
    const { fd, read } = fullPipe(t);
    const log = new Log(DEFAULT_LOG, fd);
    log.info('the last line');
    const logs = new ClosingLogs();
    logs.close(log);
    assert.equal(await logs.flush(1), false);
    read();
    assert.equal(await logs.flush(60_000), true);
    assert.match(read(), /"the last line"/);
    assert.throws(() => closeSync(fd), /EBADF/, 'and are closed');
  });

  test('that cannot be closed trouble nobody', async (t) => {
    const { fd } = fullPipe(t);
    closeSync(fd);
    const logs = new ClosingLogs();
    logs.close(new Log(DEFAULT_LOG, fd));
    assert.equal(await logs.flush(60_000), true);
  });
});
