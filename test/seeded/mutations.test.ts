import { expect, test } from 'vitest';
import { mutations } from './mutations.ts';
import { invariants } from './oracle.ts';
import { runSeed } from './run.ts';

/** Seeds within which each deliberate bug must show itself. */
const seedsMax = 80;

test.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
  'catches a system that %s',
  async (_name, mutation) => {
    for (let seed = 0; seed < seedsMax; seed++) {
      const { violation } = await runSeed(seed, { mutation, ...mutation.run });
      // Another invariant may notice first; the bug must be caught by what it breaks.
      if (violation === null || !mutation.caughtBy.includes(violation.invariant)) continue;
      process.stdout.write(`${mutation.name}: seed ${seed}, "${violation.invariant}": ${violation.detail}\n`);
      return;
    }
    expect.fail(`${seedsMax} seeds went by, and ${mutation.caughtBy.join(' or ')} did not notice`);
  },
);

test('has a deliberate bug for every invariant', () => {
  const caught = new Set(mutations.flatMap(({ caughtBy }) => caughtBy.slice(0, 1)));
  expect([...caught].sort()).toEqual([...invariants].sort());
});
