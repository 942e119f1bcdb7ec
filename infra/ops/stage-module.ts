import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { StageFile } from '../local/load-stage.ts';
import { failed, misused, notFound } from './failure.ts';

const stagesFolder = new URL('../stages/', import.meta.url);

/** The only account and region that a stage may be in, by the `aws` part of its file; null where it names none. */
export interface Pins {
  readonly account: string | null;
  readonly region: string | null;
}

export const noPins: Pins = { account: null, region: null };

/** A stage as a module: what it holds, and where it belongs. */
export interface StageModule extends StageFile {
  readonly pins: Pins;
}

const moduleSchema = z.object({
  default: z.unknown(),
  aws: z.looseObject({ account: z.string().nullish(), region: z.string().nullish() }).optional(),
});

/** Reads a stage file that is a module. Throws OpsError `not-found` or `failed`. */
export async function readStageModule(path: string, shownAs: string = path): Promise<StageModule> {
  if (!existsSync(path)) throw notFound(`the stage file ${shownAs} does not exist: check the path`);
  try {
    const module: unknown = await import(pathToFileURL(resolve(path)).href);
    const loaded = moduleSchema.parse(typeof module === 'object' ? { ...module } : module);
    return {
      input: loaded.default,
      fileName: shownAs,
      text: readFileSync(path, 'utf8'),
      pins: { account: loaded.aws?.account ?? null, region: loaded.aws?.region ?? null },
    };
  } catch (error) {
    throw failed(
      `the stage file ${shownAs} can't be loaded: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** The path of `infra/stages/<name>.ts`; null when there is none. Throws OpsError `usage` for what is no name. */
export function stageFilePath(name: string): string | null {
  if (!/^[a-z][a-z0-9-]{0,29}$/.test(name)) {
    throw misused(
      `--stage is "${name}", but a stage name is lower-case letters, digits and hyphens, at most 30; a file goes to --stage-file`,
    );
  }
  const path = fileURLToPath(new URL(`${name}.ts`, stagesFolder));
  return existsSync(path) ? path : null;
}

/** Reads `infra/stages/<name>.ts`. Throws OpsError `not-found` with the stages that are there. */
export async function readNamedStage(name: string): Promise<StageModule> {
  const path = stageFilePath(name);
  if (path !== null) return readStageModule(path, `infra/stages/${name}.ts`);
  const known = readdirSync(fileURLToPath(stagesFolder))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3));
  throw notFound(
    `there is no stage "${name}"; infra/stages has ${known.join(', ')}: name the stage's own file with --stage-file`,
  );
}

/** Where a stage is pinned to; nowhere when it has no file here. */
export async function readPins(name: string): Promise<Pins> {
  return stageFilePath(name) === null ? noPins : (await readNamedStage(name)).pins;
}

/** The region to look in. Throws OpsError `usage` for another one than the stage is pinned to. */
export function regionFor(stage: string, named: string | null, { region }: Pins): string | null {
  if (named === null || region === null || named === region) return named ?? region;
  throw misused(
    `--region is ${named}, but the stage ${stage} is pinned to ${region} by its file: leave it out`,
  );
}
