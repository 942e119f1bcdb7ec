import { describe, expect, it } from 'vitest';
import { caseProviders, faults, persistences } from '../bench/exactly-once/scenario.ts';
import { runSimhook } from '../bench/exactly-once/simhook.ts';

const words = {
  'throws-after-acceptance': 'the handler throws after the provider has accepted',
  'times-out-in-mid-call': 'the function is ended while it waits for the answer',
  'success-not-written': 'the success can not be written',
} as const;

describe.each(caseProviders)('an order at %s', (provider) => {
  for (const fault of faults) {
    for (const persistence of persistences) {
      const how = persistence === 'once' ? 'once' : 'for an hour';
      it(`is bought once and settled although ${words[fault]} ${how}`, async () => {
        const result = await runSimhook({ provider, fault, persistence });
        expect(result.struck).toBeGreaterThan(0);
        expect(result).toMatchObject({ purchases: 1, recorded: 1, end: 'succeeded' });
      });
    }
  }
});
