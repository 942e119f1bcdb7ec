import { expect, it } from 'vitest';
import { takeTurns } from '../../../shared/platform/turns.ts';

it('gives each its turn when the one before has ended, in the order in which they asked', async () => {
  const inTurn = takeTurns();
  const seen: string[] = [];
  let end: () => void = () => undefined;
  const first = inTurn(async () => {
    seen.push('first begins');
    await new Promise<void>((resolve) => {
      end = resolve;
    });
    seen.push('first ends');
    return 1;
  });
  const second = inTurn(async () => seen.push('second'));
  await Promise.resolve();
  expect(seen).toEqual(['first begins']);
  end();
  expect(await Promise.all([first, second])).toEqual([1, 3]);
  expect(seen).toEqual(['first begins', 'first ends', 'second']);
});

it('tells a failure to whoever asked for that turn, and lets the next one begin', async () => {
  const inTurn = takeTurns();
  const rejected = inTurn(() => Promise.reject(new Error('the store is down')));
  const thrown = inTurn(() => {
    throw new Error('a fault of the program');
  });
  const next = inTurn(async () => 'its turn');
  await expect(rejected).rejects.toThrow('the store is down');
  await expect(thrown).rejects.toThrow('a fault of the program');
  expect(await next).toBe('its turn');
});
