import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { followScript } from '../../src/doctor/script.ts';
import { scratch } from './fixture.ts';

describe('a script of ocserv.conf leads to this program', () => {
  test('whatever links lie on the way, on either side', (t) => {
    const folder = scratch(t);
    mkdirSync(join(folder, '1.0'));
    const program = join(folder, '1.0', 'ocagent-hook');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    symlinkSync('1.0', join(folder, 'current'));
    symlinkSync(join('current', 'ocagent-hook'), join(folder, 'link'));
    const byLink = join(folder, 'current', 'ocagent-hook');
    for (const named of [program, byLink, join(folder, 'link')]) {
      for (const executable of [program, byLink]) {
        assert.deepEqual(followScript(named, executable), { kind: 'this', path: program });
      }
    }
  });
});
