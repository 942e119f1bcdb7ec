import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Least room that a start asks for: the store needs to grow while it runs. */
const freeBytesMin = 50 * 1024 * 1024;

/** What keeps the system from starting, in one line that says what to do. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

export interface DataFolder {
  readonly path: string;
  file(name: string): string;
  release(): void;
}

/**
 * Opens the folder that holds a system's data, for this process alone. A lock that a killed process left behind is
 * taken over. Throws StartError when another one runs on it, or there is no room.
 */
export function openDataFolder(path: string, isAlive: (pid: number) => boolean = processIsAlive): DataFolder {
  try {
    mkdirSync(path, { recursive: true });
    const { bavail, bsize } = statfsSync(path);
    if (bavail * bsize < freeBytesMin) {
      throw new StartError(
        `the disk of ${path} has ${Math.floor((bavail * bsize) / 2 ** 20)} MiB left, at least 50 are needed: free some or choose another folder with --data`,
      );
    }
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(
      `the data folder ${path} can't be used (${codeOf(error)}): choose another one with --data`,
    );
  }
  const lock = join(path, 'lock');
  takeLock(lock, path, isAlive);
  return { path, file: (name) => join(path, name), release: () => rmSync(lock, { force: true }) };
}

function takeLock(lock: string, path: string, isAlive: (pid: number) => boolean): void {
  for (let tries = 0; tries < 3; tries++) {
    try {
      const handle = openSync(lock, 'wx');
      writeSync(handle, String(process.pid));
      closeSync(handle);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST')
        throw new StartError(
          `the data folder ${path} can't be written (${codeOf(error)}): choose another one with --data`,
        );
      const pid = Number(readFileSync(lock, 'utf8') || '0');
      if (pid !== process.pid && pid > 0 && isAlive(pid)) {
        throw new StartError(
          `the data folder ${path} is in use by process ${pid}: stop it, or choose another one with --data`,
        );
      }
      rmSync(lock, { force: true });
    }
  }
  throw new StartError(`the data folder ${path} is being taken by another process: try again`);
}

/** Also true for a process of somebody else. */
export function processIsAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
}
