import { expect, test } from 'vitest';
import { mutations } from './mutations.ts';
import { invariants } from './oracle.ts';
import { runSeed } from './run.ts';

/** Seeds within which each deliberate bug must show itself. */
const seedsMax = 40;

test.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
  'catches a system that %s',
  async (_name, mutation) => {
    for (let seed = 0; seed < seedsMax; seed++) {
      const { violation } = await runSeed(seed, { mutation });
      if (violation === null) continue;
      process.stdout.write(`${mutation.name}: seed ${seed}, "${violation.invariant}": ${violation.detail}\n`);
      expect(mutation.caughtBy).toContain(violation.invariant);
      return;
    }
    expect.fail(`${seedsMax} seeds went by and nobody noticed`);
  },
);

test('has a deliberate bug for every invariant', () => {
  const caught = new Set(mutations.flatMap(({ caughtBy }) => caughtBy.slice(0, 1)));
  expect([...caught].sort()).toEqual([...invariants].sort());
});
