import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { readStage, type Stage } from '../../shared/policy/stage.ts';
import type { Provider } from '../../shared/providers/provider.ts';
import localStage from '../stages/local.ts';
import { codeOf, StartError } from './data-folder.ts';

const localStageFile = fileURLToPath(new URL('../stages/local.ts', import.meta.url));

/** A stage before it is checked, with the text that problems are located in. */
export interface StageFile {
  readonly input: unknown;
  readonly fileName: string;
  readonly text: string | null;
}

/** The stage of `npm start`, or the JSON file given. Throws StartError for a file that can't be read. */
export function loadStageFile(path: string | null): StageFile {
  if (path === null) {
    return {
      input: localStage,
      fileName: 'infra/stages/local.ts',
      text: readFileSync(localStageFile, 'utf8'),
    };
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartError(`the stage file ${path} can't be read (${codeOf(error)}): check the path`);
  }
  try {
    return { input: JSON.parse(text), fileName: path, text };
  } catch (error) {
    throw new StartError(
      `the stage file ${path} is not JSON: ${error instanceof Error ? error.message : error}`,
    );
  }
}

const withSettings = z.looseObject({
  providers: z.record(
    z.string(),
    z.looseObject({ settings: z.looseObject({ baseUrl: z.string().optional() }) }),
  ),
});

/** Points every provider of a stage at the simulator; a stage of another shape is left for the check to refuse. */
export function aimAtSimulator(file: StageFile, simulatorUrl: string): StageFile {
  const parsed = withSettings.safeParse(file.input);
  if (!parsed.success) return file;
  const providers = Object.fromEntries(
    Object.entries(parsed.data.providers).map(([id, entry]) => {
      const baseUrl = simulatorBaseUrl(id, simulatorUrl);
      return [id, { ...entry, settings: { ...entry.settings, baseUrl } }];
    }),
  );
  return { ...file, input: { ...parsed.data, providers } };
}

/** The base URL of a provider that the simulator plays. */
export function simulatorBaseUrl(provider: string, simulatorUrl: string): string {
  return provider === 'linksfield-cube' ? `${simulatorUrl}/cube/v4` : simulatorUrl;
}

/** Checks a stage; throws StartError with a line per problem. */
export function checkStage(file: StageFile, providers: readonly Provider[]): Stage {
  const reading = readStage(file.input, file, providers);
  if (reading.ok) return reading.stage;
  throw new StartError(reading.problems.join('\n'));
}
