import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../shared/platform/clock.ts';
import { sameText, sha256Hex } from '../../../shared/platform/digest.ts';
import { jsonLog, silentLog } from '../../../shared/platform/log.ts';
import { seededRandom, systemRandom } from '../../../shared/platform/random.ts';

describe('digests', () => {
  it('are SHA-256 in lower-case hex, of texts and of bytes', () => {
    // Source: FIPS 180-4, example "abc".
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect([sha256Hex('abc'), sha256Hex(Buffer.from('abc'))]).toEqual([abc, abc]);
  });

  it('tell texts apart whatever their length', () => {
    expect(sameText('', '')).toBe(true);
    expect(sameText('token', 'token')).toBe(true);
    for (const other of ['', 'toke', 'tokens', 'Token', 'tokeñ'])
      expect(sameText('token', other)).toBe(false);
  });
});

describe('chance', () => {
  it.each([
    ['of the system', systemRandom],
    ['of a seed', seededRandom(42)],
  ])('%s stays within its bounds', (_name, random) => {
    const seen = new Set<number>();
    for (let i = 0; i < 1_000; i++) {
      const n = random.integer(3, 5);
      seen.add(n);
      const f = random.fraction();
      expect(f).toBeGreaterThanOrEqual(0);
      expect(f).toBeLessThan(1);
    }
    expect([...seen].sort()).toEqual([3, 4, 5]);
    expect(random.hex(16)).toMatch(/^[0-9a-f]{32}$/);
    expect(random.integer(7, 7)).toBe(7);
  });

  it('of a seed is the same again, and another for another seed', () => {
    const first = (seed: number) => {
      const random = seededRandom(seed);
      return [random.hex(8), random.integer(0, 1_000_000), random.fraction()];
    };
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });
});

describe('the log', () => {
  it('writes one JSON line, whatever stands in the fields', () => {
    const written: string[] = [];
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    try {
      jsonLog('warn', 'callback rejected', { reason: 'a\n"b"', status: 401, none: null, left: undefined });
      silentLog('error', 'nothing', {});
    } finally {
      spy.mockRestore();
    }
    expect(written).toEqual([
      '{"level":"warn","message":"callback rejected","reason":"a\\n\\"b\\"","status":401,"none":null}\n',
    ]);
  });
});

describe('the clock', () => {
  it('reads whole milliseconds of now', () => {
    const before = Date.now();
    const read = systemClock();
    expect(read).toBeGreaterThanOrEqual(before);
    expect(read).toBeLessThanOrEqual(Date.now());
  });
});
