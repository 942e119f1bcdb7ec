import { randomBytes, randomInt } from 'node:crypto';

/** A source of chance that a test can seed. */
export interface Random {
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number;
  /** From 0 up to, but not including, 1. */
  fraction(): number;
  /** Lower-case hex digits, two per byte. */
  hex(bytes: number): string;
}

export const systemRandom: Random = {
  integer: (min, max) => randomInt(min, max + 1),
  fraction: () => randomInt(0, 2 ** 32) / 2 ** 32,
  hex: (bytes) => randomBytes(bytes).toString('hex'),
};

/** A repeatable source: the same seed gives the same sequence. Algorithm: mulberry32, a 32-bit generator. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    integer: (min, max) => min + Math.floor(next() * (max - min + 1)),
    fraction: next,
    hex: (bytes) =>
      Array.from({ length: bytes }, () =>
        Math.floor(next() * 256)
          .toString(16)
          .padStart(2, '0'),
      ).join(''),
  };
}
