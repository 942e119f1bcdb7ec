import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { processIsAlive } from './data-folder.ts';

const runningSchema = z.object({
  pid: z.number().int().min(1),
  /** Where callbacks are taken, without a path. */
  url: z.url(),
  /** Where the provider simulator answers; null when the stage's own addresses are called. */
  simulatorUrl: z.url().nullable(),
});
/** Where a local system listens, written into its data folder while it runs. */
export type RunningSystem = z.infer<typeof runningSchema>;

/** `stale`: the process that wrote it ended without taking it away. */
export type RunningReading =
  | { readonly kind: 'running'; readonly system: RunningSystem }
  | { readonly kind: 'stale'; readonly pid: number }
  | { readonly kind: 'none' };

const fileName = 'running.json';

/** Tells the commands beside the system where it listens. Returns what takes the file away again. */
export function announceRunning(folder: string, system: RunningSystem): () => void {
  const path = join(folder, fileName);
  // Written beside and renamed, so that no reader meets half a file.
  writeFileSync(`${path}.part`, JSON.stringify(system));
  renameSync(`${path}.part`, path);
  return () => rmSync(path, { force: true });
}

/** Where the system of a data folder listens. A file that can't be read counts as none. */
export function readRunning(
  folder: string,
  isAlive: (pid: number) => boolean = processIsAlive,
): RunningReading {
  const parsed = runningSchema.safeParse(readJson(join(folder, fileName)));
  if (!parsed.success) return { kind: 'none' };
  const system = parsed.data;
  return isAlive(system.pid) ? { kind: 'running', system } : { kind: 'stale', pid: system.pid };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
