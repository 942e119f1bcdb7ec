import { describe, it } from 'vitest';

export {
  createSqsQueue,
  dynamoDbLocalProblem,
  type Engine,
  engineAccess,
  type SqsQueueUrls,
  startDynamoDbLocal,
  startSqs,
} from '../../infra/local/wire-engines.ts';

/**
 * Runs `suite` when its engine can run. Otherwise one test stands for the suite: reported as skipped, with the
 * reason, or as failed where CI=true, since there a suite that doesn't run proves nothing.
 */
export function describeWithEngine(name: string, problem: string | null, suite: () => void): void {
  if (problem === null) {
    suite();
    return;
  }
  describe(name, () => {
    it(`needs its engine: ${problem}`, (context) => {
      if (process.env.CI === 'true') throw new Error(problem);
      context.skip(problem);
    });
  });
}
