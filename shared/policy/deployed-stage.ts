import type { Provider } from '../providers/provider.ts';
import { readStage, type Stage } from './stage.ts';

/**
 * Reads the stage that travels beside a deployed function. It was checked when the stack was made; checking it again
 * catches a file that does not belong to this code. Throws with every problem.
 */
export function readDeployedStage(json: unknown, providers: readonly Provider[]): Stage {
  const reading = readStage(json, { fileName: 'stage.json', text: null }, providers);
  if (!reading.ok) throw new Error(`stage.json does not fit this function: ${reading.problems.join('; ')}`);
  if (Object.keys(reading.stage.secrets).length > 0) {
    throw new Error('stage.json holds secrets; a deployed stage keeps them in Secrets Manager');
  }
  return reading.stage;
}
