import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must } from './run.ts';

/** The one password of every user here: passwords are ocserv's business and nothing that the hook sees. */
export const PASSWORD = 'correct horse';

/** A user by name, or one whom ocserv puts into a group. */
export type User = string | { readonly name: string; readonly group: string };

/**
 * The text of an ocpasswd file in which every user has `PASSWORD`. One hash, made once by ocpasswd, serves all
 * of them: it does not depend on the name.
 */
export async function passwordFile(users: readonly User[]): Promise<string> {
  const hash = await hashOfPassword();
  return users
    .map((user) => {
      const { name, group } = typeof user === 'string' ? { name: user, group: '*' } : user;
      if (/[:\n]/.test(name + group))
        throw new Error(`no password file can hold ${JSON.stringify(name + group)}`);
      return `${name}:${group}:${hash}\n`;
    })
    .join('');
}

async function hashOfPassword(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ocagent-passwd-'));
  try {
    const file = join(folder, 'passwd');
    await must(['ocpasswd', '-c', file, 'anyone'], { input: `${PASSWORD}\n${PASSWORD}\n` });
    return (await readFile(file, 'utf8')).trim().split(':')[2] ?? '';
  } finally {
    await rm(folder, { recursive: true });
  }
}
