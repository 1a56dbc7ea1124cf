import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must } from './run.ts';

/** The one password of every user here: passwords are ocserv's business and nothing that the hook sees. */
export const PASSWORD = 'correct horse';

/** A user's name; as bytes where it is meant not to be text. */
export type UserName = string | Uint8Array;

/** A user by name, or one whom ocserv puts into a group. */
export type User = UserName | { readonly name: UserName; readonly group: string };

/**
 * The content of an ocpasswd file in which every user has `PASSWORD`. One hash, made once by ocpasswd, serves all
 * of them: it does not depend on the name.
 */
export async function passwordFile(users: readonly User[]): Promise<Uint8Array> {
  const hash = await hashOfPassword();
  const lines = users.map((user) => {
    const { name, group } =
      typeof user === 'string' || user instanceof Uint8Array ? { name: user, group: '*' } : user;
    const bytes = Buffer.from(name);
    if (/[:\n]/.test(bytes.toString('latin1') + group))
      throw new Error(`no password file can hold "${bytes}"`);
    return Buffer.concat([bytes, Buffer.from(`:${group}:${hash}\n`)]);
  });
  return Buffer.concat(lines);
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
