import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** The next message of a forked process. @throws when it has gone without one. */
export async function answer<T>(child: ChildProcess): Promise<T> {
  const gone = new AbortController();
  const onExit = (): void => gone.abort();
  child.once('exit', onExit);
  try {
    const [message] = await once(child, 'message', { signal: gone.signal });
    return message as T;
  } catch (cause) {
    throw new Error(`${child.spawnargs.join(' ')} has gone without an answer`, { cause });
  } finally {
    child.off('exit', onExit);
  }
}
